"""TLS with certificates of both sides, at a real Redis."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path

import pytest
from redis import Redis
from starlette.testclient import TestClient

from app.configuration.settings import Settings
from app.doctor.runner import examine
from app.domain.errors import StoreFailure
from app.queue.connection import open_async_redis, open_redis, translated_call, translated_errors
from app.web.main import create_app
from tests.servers.secured import Secured, codes, secured
from tests.support.certificates import Authority, Pair
from tests.support.places import place
from tests.support.workers import impatient, offline, worker_of
from tests.web.deliveries import SECRET, URL, event, signed
from workers.context import Context

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """A Redis that talks to nobody without a certificate."""
    with secured(tmp_path_factory.mktemp("secured")) as found:
        yield found


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that nobody trusts."""
    return Authority(tmp_path_factory.mktemp("other"), "another")


def test_deliveries_workers_and_the_doctor_go_by_tls(server: Secured, database_url: str) -> None:
    environment = {
        "STRIPE_WEBHOOK_SECRET": SECRET,
        "DATABASE_URL": database_url,
        "REDIS_URL": server.url(),
    }
    settings = Settings.from_environment(environment)
    with TestClient(create_app(settings)) as client:
        body = event("evt_1")
        assert client.post(URL, content=body, headers=signed(body)).status_code == 200
    context = offline(Context.of(settings))
    try:
        assert impatient(worker_of(context.stores.redis, context)).run_once() == 1
    finally:
        context.stores.close()
    with Redis(port=server.server.port) as admin:
        assert place(admin, "evt_1") == "finished"
    found = {one.name: one for one in examine(environment)}
    assert {found[name].state for name in ("redis", "redis writes", "durability")} == {"ok"}


def test_a_server_of_another_authority(server: Secured, other: Authority) -> None:
    url = server.url(authority=other)
    assert codes(url) == ["tls_certificate"] * 2
    assert codes(url, verify=False) == ["", ""]


def test_a_server_by_another_name(server: Secured) -> None:
    assert codes(server.url(host="127.0.0.1")) == ["tls_other_name"] * 2


def test_a_server_whose_certificate_has_expired(server: Secured) -> None:
    with server.showing(server.authority.sign("localhost", valid=timedelta(days=-1))):
        assert codes(server.url()) == ["tls_expired"] * 2
    assert codes(server.url()) == ["", ""]


@pytest.mark.parametrize("shown", ["none", "of another authority", "expired"])
def test_a_client_without_a_certificate_that_the_server_accepts(
    shown: str, server: Secured, other: Authority
) -> None:
    own = {
        "none": None,
        "of another authority": other.sign("client"),
        "expired": server.authority.sign("client", valid=timedelta(days=-1)),
    }[shown]
    assert codes(server.url(own=own)) == ["tls_own_certificate"] * 2


def test_a_certificate_that_is_renewed_counts_from_the_next_connection_on(
    server: Secured, tmp_path: Path
) -> None:
    expired = server.authority.sign("client", valid=timedelta(days=-1))
    good = server.authority.sign("client")
    files = Pair(tmp_path / "client.pem", tmp_path / "client.key")

    def install(pair: Pair) -> None:
        for source, target in zip(pair, files, strict=True):
            shutil.copy(source, target)

    async def run() -> None:
        url = server.url(own=files)
        with open_redis(url) as threads:
            async with aclosing(open_async_redis(url)) as loops:
                install(expired)
                with pytest.raises(StoreFailure), translated_errors():
                    threads.ping()
                with pytest.raises(StoreFailure):
                    async with translated_call(loops):
                        await loops.ping()
                install(good)
                assert threads.ping()
                assert await loops.ping()

    asyncio.run(run())
