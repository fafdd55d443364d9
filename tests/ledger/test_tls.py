"""A PostgreSQL that speaks TLS, asks for certificates, and shows its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text

from app.local.valkey import free_port
from tests.ledger.asking import engine_of, fault_at
from tests.support.postgres import Postgres, postgres_server
from tests.support.stub_server import self_signed

pytestmark = pytest.mark.slow

LOOPBACK = "127.0.0.1"
RULES = f"""
local all all trust
hostssl all postgres {LOOPBACK}/32 trust
hostssl all certified {LOOPBACK}/32 cert
"""


@dataclass(frozen=True)
class Secured:
    """A server that takes TLS alone; `trusted` signs its certificate, which is for localhost."""

    port: int
    trusted: Path
    client: tuple[Path, Path]  # the certificate and key of the role `certified`
    stranger: tuple[Path, Path]  # of another name

    def url(self, user: str = "postgres", host: str = "localhost", **options: object) -> str:
        """The DATABASE_URL with these of libpq's options."""
        given = {"sslmode": "verify-full", "sslrootcert": self.trusted, **options}
        query = "&".join(f"{name}={value}" for name, value in given.items())
        return f"postgresql://{user}@{host}:{self.port}/postgres?{query}"

    @property
    def named(self) -> str:
        return f"PostgreSQL at localhost:{self.port}"


def certificate(folder: Path, subject: str) -> tuple[Path, Path]:
    folder.mkdir()
    return self_signed(folder, "localhost", subject)


@pytest.fixture(scope="module")
def secured(
    servers: dict[int, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("certificates")
    shown = certificate(folder / "server", "server")
    client = certificate(folder / "client", "certified")
    stranger = certificate(folder / "stranger", "stranger")
    port = free_port()
    with postgres_server(address=LOOPBACK, port=port, installation=servers[17]) as server:
        known = folder / "known.pem"
        known.write_bytes(client[0].read_bytes() + stranger[0].read_bytes())
        speak_tls(server, shown, known)
        yield Secured(port, shown[0], client, stranger)


def speak_tls(server: Postgres, shown: tuple[Path, Path], known: Path) -> None:
    """Have it show this certificate, and believe those clients' that are known."""
    data = server.directory / "data"
    owner = data.stat()
    for path in (*shown, known):
        copy = Path(shutil.copy(path, data))
        copy.chmod(0o600)
        os.chown(copy, owner.st_uid, owner.st_gid)
    (data / "pg_hba.conf").write_text(RULES)
    server.administer(
        "CREATE ROLE certified LOGIN",
        f"ALTER SYSTEM SET ssl_cert_file = '{shown[0].name}'",
        f"ALTER SYSTEM SET ssl_key_file = '{shown[1].name}'",
        f"ALTER SYSTEM SET ssl_ca_file = '{known.name}'",
        "ALTER SYSTEM SET ssl = on",
        "SELECT pg_reload_conf()",
    )


def speaks_tls(url: str) -> bool:
    with engine_of(url) as engine, engine.connect() as connection:
        asked = text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        return bool(connection.execute(asked).scalar_one())


def test_a_server_whose_certificate_is_the_one_expected_is_used(secured: Secured) -> None:
    assert speaks_tls(secured.url())


def test_a_role_shows_a_client_certificate(secured: Secured) -> None:
    sslcert, sslkey = secured.client
    assert speaks_tls(secured.url("certified", sslcert=sslcert, sslkey=sslkey))


def test_a_certificate_of_another_authority_is_one_line(secured: Secured) -> None:
    fault = fault_at(secured.url(sslrootcert=secured.stranger[0]))
    assert fault.code == "tls_certificate"
    assert str(fault) == (
        f"the TLS certificate of {secured.named} does not pass the check that sslmode asks for:"
        " name its authority by ?sslrootcert=FILE, and the host as the certificate does"
    )


def test_a_certificate_of_another_host_is_refused(secured: Secured) -> None:
    assert fault_at(secured.url(host=LOOPBACK)).code == "tls_certificate"
    assert speaks_tls(secured.url(host=LOOPBACK, sslmode="verify-ca"))


def test_an_authority_whose_file_is_missing_is_told(secured: Secured, tmp_path: Path) -> None:
    fault = fault_at(secured.url(sslrootcert=tmp_path / "nothing.pem"))
    assert fault.code == "tls_certificate"


def test_the_systems_authorities_are_found_only_where_the_environment_says(
    secured: Secured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    assert fault_at(secured.url(sslrootcert="system")).code == "tls_certificate"
    monkeypatch.setenv("SSL_CERT_FILE", str(secured.trusted))
    assert speaks_tls(secured.url(sslrootcert="system"))


def test_a_client_certificate_that_is_missing_or_of_another_is_told(secured: Secured) -> None:
    sslcert, sslkey = secured.stranger
    of_another = secured.url("certified", sslcert=sslcert, sslkey=sslkey)
    for url in (secured.url("certified"), of_another):
        fault = fault_at(url)
        assert fault.code == "client_certificate"
        assert str(fault) == (
            f"{secured.named} asks for a client certificate of the user in DATABASE_URL: name it"
            " by ?sslcert=FILE&sslkey=FILE; its common name has to be the user's"
        )


def test_a_key_that_others_can_read_is_not_used(secured: Secured, tmp_path: Path) -> None:
    sslcert, sslkey = secured.client
    opened = Path(shutil.copy(sslkey, tmp_path / "key.pem"))
    opened.chmod(0o644)
    fault = fault_at(secured.url("certified", sslcert=sslcert, sslkey=opened))
    assert fault.code == "tls_failed"


def test_a_server_that_takes_tls_alone_admits_nobody_without(secured: Secured) -> None:
    fault = fault_at(secured.url(sslmode="disable"))
    assert fault.code == "not_admitted"
    assert "?sslmode=require" in str(fault)
