"""What can be wrong with the certificates of either side: each fault has its own line."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from tests.queue.asking import PASSWORD, Fault, both
from tests.support.certificates import Authority, Pair
from tests.support.stub_server import speaks_tls, stub_server, tls_context


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The one that the server and its clients trust."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """One that neither trusts."""
    return Authority(tmp_path_factory.mktemp("other"), "another")


@contextmanager
def serving(shown: Pair, trusting: Authority | None = None) -> Iterator[int]:
    """The port of a server that shows this, and asks for a certificate if it trusts somebody."""
    context = tls_context(shown)
    if trusting is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(trusting.certificate)
    with stub_server(speaks_tls(context)) as port:
        yield port


def url(port: int, authority: Authority, own: Pair | None = None) -> str:
    options = f"ssl_ca_certs={authority.certificate}"
    if own is not None:
        options += f"&ssl_certfile={own.certificate}&ssl_keyfile={own.key}"
    return f"rediss://me:{PASSWORD}@localhost:{port}/0?{options}"


@both
def test_a_certificate_of_another_authority(
    fault_at: Fault, authority: Authority, other: Authority
) -> None:
    with serving(other.sign("localhost")) as port:
        assert fault_at(url(port, authority)).message == (
            f"the TLS certificate of Redis at localhost:{port} is of no authority that this"
            " process trusts"
        )


@both
def test_a_certificate_for_another_host_name(fault_at: Fault, authority: Authority) -> None:
    with serving(authority.sign("redis.example")) as port:
        assert str(fault_at(url(port, authority))) == (
            f"the TLS certificate of Redis at localhost:{port} is for another host name:"
            " write the name that it is for into REDIS_URL, or have it made for this one as well"
        )


@both
def test_a_certificate_for_another_address(fault_at: Fault, authority: Authority) -> None:
    with serving(authority.sign("192.0.2.1")) as port:
        fault = fault_at(url(port, authority).replace("localhost", "127.0.0.1"))
    assert fault.code == "tls_other_name"


@both
def test_a_certificate_that_has_expired(fault_at: Fault, authority: Authority) -> None:
    with serving(authority.sign("localhost", valid=timedelta(days=-1))) as port:
        assert str(fault_at(url(port, authority))) == (
            f"the TLS certificate of Redis at localhost:{port} has expired, or is not valid yet:"
            " renew it; if it is valid, set the clock of this machine right"
        )


@both
@pytest.mark.parametrize("shows", ["none", "of another authority", "expired"])
def test_a_redis_that_accepts_no_certificate_of_ours(
    shows: str, fault_at: Fault, authority: Authority, other: Authority
) -> None:
    own = {
        "none": None,
        "of another authority": other.sign("client"),
        "expired": authority.sign("client", valid=timedelta(days=-1)),
    }[shows]
    with serving(authority.sign("localhost"), trusting=authority) as port:
        assert str(fault_at(url(port, authority, own))) == (
            f"Redis at localhost:{port} asks this process for a TLS certificate, and accepts none"
            " that it shows: name one that is valid there, by ?ssl_certfile=FILE&ssl_keyfile=FILE"
        )


@both
def test_a_file_that_was_there_when_the_process_started(
    fault_at: Fault, authority: Authority, tmp_path: Path
) -> None:
    gone = Pair(tmp_path / "gone.pem", tmp_path / "gone.key")
    with serving(authority.sign("localhost")) as port:
        assert str(fault_at(url(port, authority, gone))) == (
            "a file that the ssl_ options in REDIS_URL name is not there:"
            " put it there, or correct its path"
        )
