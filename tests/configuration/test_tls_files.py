"""The files that REDIS_URL names for TLS are looked at when the settings are read."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from app.configuration.addresses import check_redis_url
from tests.support.certificates import Authority, Pair

AUTHORITY = "names by ssl_ca_certs or ssl_ca_path what is not there, or no certificate"
OWN = (
    "names by ssl_certfile and ssl_keyfile what is not there, cannot be read, or does not belong "
    "together; ssl_password is that of the key"
)
PASSWORD = "PLANTED-VALUE"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def own(authority: Authority) -> Pair:
    return authority.sign("client")


def refusal(options: str, scheme: str = "rediss://host/0") -> str:
    with pytest.raises(ValueError, match="ssl_") as refused:
        check_redis_url(f"{scheme}?{options}")
    return str(refused.value)


@pytest.mark.parametrize("scheme", ["rediss://host/0", "rediss+sentinel://one,two/queue/0"])
def test_files_that_belong_together_are_taken(scheme: str, authority: Authority, own: Pair) -> None:
    files = f"ssl_certfile={own.certificate}&ssl_keyfile={own.key}"
    check_redis_url(f"{scheme}?ssl_ca_certs={authority.certificate}&{files}")


@pytest.mark.parametrize("scheme", ["rediss://host/0", "rediss+sentinel://one,two/queue/0"])
def test_an_authority_that_is_not_there(scheme: str) -> None:
    assert refusal("ssl_ca_certs=/nowhere/ca.pem", scheme) == AUTHORITY


def test_an_authority_that_is_no_certificate(own: Pair) -> None:
    assert refusal(f"ssl_ca_certs={own.key}") == AUTHORITY


def test_a_certificate_that_is_not_there(own: Pair) -> None:
    assert refusal(f"ssl_certfile=/nowhere/own.pem&ssl_keyfile={own.key}") == OWN


def test_a_key_of_another_certificate(authority: Authority, own: Pair) -> None:
    other = authority.sign("other")
    assert refusal(f"ssl_certfile={own.certificate}&ssl_keyfile={other.key}") == OWN


def test_a_key_without_its_certificate(own: Pair) -> None:
    assert refusal(f"ssl_keyfile={own.key}") == (
        "names a key by ssl_keyfile, and not its certificate by ssl_certfile"
    )


def test_a_key_with_a_password_needs_it_and_nobody_is_asked_for_it(
    own: Pair, tmp_path: Path
) -> None:
    locked = tmp_path / "locked.key"
    subprocess.run(
        [
            *("openssl", "pkey", "-in", own.key, "-aes256", "-passout", f"pass:{PASSWORD}"),
            *("-out", locked),
        ],
        check=True,
        capture_output=True,
    )
    files = f"ssl_certfile={own.certificate}&ssl_keyfile={locked}"
    check_redis_url(f"rediss://host/0?{files}&ssl_password={PASSWORD}")
    assert refusal(files) == OWN
    assert refusal(f"{files}&ssl_password=wrong") == OWN


def test_an_option_that_only_threads_would_take_is_refused_for_web_as_well() -> None:
    with pytest.raises(ValueError, match="an option, after the"):
        check_redis_url("rediss://host/0?ssl_validate_ocsp=1")
