"""Which names a request may call the sandbox by."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from deploy.sandbox.main import Settings, create_app


def status(host: str, settings: Settings) -> int:
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as client:
        return client.get("/_sandbox/clock", headers={"Host": host}).status_code


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:12111", "localhost:12111", "LocalHost", "[::1]:12111", "10.0.0.7", "192.0.2.1:80"],
)
def test_this_hosts_own_names_and_all_addresses_are_known(host: str) -> None:
    assert status(host, Settings()) == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:12111", "localhost.evil.example", "127.0.0.1.example", "["],
)
def test_another_sites_name_is_refused(host: str) -> None:
    assert status(host, Settings()) == 421


def test_the_public_address_and_the_name_it_listens_on_are_known() -> None:
    settings = Settings(base_url="https://stripe.test:8443", host="sandbox")
    assert [status(host, settings) for host in ("stripe.test:8443", "sandbox:12111")] == [200, 200]
    assert status("other.test", settings) == 421
