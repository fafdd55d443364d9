"""Whether the process runs, and whether it should be sent deliveries."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from redis import Redis
from starlette.testclient import TestClient

from app.configuration.settings import Settings
from app.local.valkey import Valkey, free_port
from app.web.health import KEPT, SharedAnswer
from app.web.main import create_app
from tests.support.waiting import eventually


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and says nothing, as a database behind a lost network."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer is kept."""
    monkeypatch.setattr("app.web.health.KEPT", 0.0)


def client_of(environment: dict[str, str], **other: str) -> TestClient:
    return TestClient(create_app(Settings.from_environment(environment | other)))


def test_a_process_is_healthy_without_redis_and_ledger(environment: dict[str, str]) -> None:
    away = {
        "REDIS_URL": f"redis://127.0.0.1:{free_port()}",
        "DATABASE_URL": "sqlite:////no/such/folder/ledger.db",
    }
    with client_of(environment, **away) as client:
        answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_it_is_ready_if_both_stores_answer(client: TestClient) -> None:
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (
        200,
        {"status": "ready", "redis": "ok", "ledger": "ok"},
    )


def test_it_is_ready_while_the_ledger_is_away(
    environment: dict[str, str], redis: Redis, tmp_path: Path
) -> None:
    away = f"sqlite:///{tmp_path / 'no such folder' / 'ledger.db'}"
    with client_of(environment, DATABASE_URL=away) as client:
        answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ready"
    assert answer.json()["ledger"] != "ok"
    assert str(tmp_path) not in answer.text


def test_a_ledger_that_hangs_holds_no_probe_up(
    environment: dict[str, str], redis: Redis, silent_port: int
) -> None:
    hanging = f"postgresql://user:PLANTED@127.0.0.1:{silent_port}/identity"
    with client_of(environment, DATABASE_URL=hanging) as client:
        began = time.monotonic()
        answer = client.get("/readyz")
        took = time.monotonic() - began
    assert (answer.status_code, answer.json()["status"]) == (200, "ready")
    assert answer.json()["ledger"] != "ok"
    assert "PLANTED" not in answer.text
    assert took < 3  # the database's own limit is 5


@pytest.mark.usefixtures("fresh")
def test_it_is_not_ready_without_redis_and_ready_again_with_it(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with (
        Valkey(tmp_path / "valkey", fsync="no") as own,
        client_of(environment, REDIS_URL=own.url) as client,
    ):
        assert client.get("/readyz").status_code == 200
        own.stop()
        eventually(lambda: client.get("/readyz").status_code == 503)
        answer = client.get("/readyz")
        assert answer.json()["status"] == "not ready"
        assert answer.json()["ledger"] == "ok"
        assert str(own.port) not in answer.text
        own.start()
        eventually(lambda: client.get("/readyz").status_code == 200)


@pytest.fixture(scope="module")
def own_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A server to set up as no other test wants it."""
    with Valkey(tmp_path_factory.mktemp("own"), fsync="no") as server:
        yield server


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ({"maxmemory": "1"}, "full"),
        ({"replicaof": "127.0.0.1 1"}, "replica"),
        ({"replicaof": "127.0.0.1 1", "replica-read-only": "no"}, "replica"),
        ({"min-replicas-to-write": "1"}, "replicas_lost"),
    ],
    ids=["full", "a replica", "a replica that can be written to", "without its replicas"],
)
def test_it_is_not_ready_while_redis_would_refuse_or_lose_a_delivery(
    environment: dict[str, str], own_valkey: Valkey, setting: dict[str, str], why: str
) -> None:
    usual = {"maxmemory": "0", "replica-read-only": "yes", "min-replicas-to-write": "0"}
    with (
        Redis.from_url(own_valkey.url) as admin,
        client_of(environment, REDIS_URL=own_valkey.url) as client,
    ):
        for name, value in setting.items():
            if name == "replicaof":
                admin.replicaof(*value.split())
            else:
                admin.config_set(name, value)
        try:
            answer = client.get("/readyz")
        finally:
            admin.replicaof("NO", "ONE")
            for name, value in usual.items():
                admin.config_set(name, value)
        assert answer.status_code == 503
        assert answer.json()["redis"] == why
        eventually(lambda: client.get("/readyz").status_code == 200)


def test_it_is_not_ready_if_redis_does_not_let_it_enqueue(
    environment: dict[str, str], own_valkey: Valkey
) -> None:
    with Redis.from_url(own_valkey.url) as admin:
        admin.acl_setuser("reader", enabled=True, passwords=["+PLANTED"], categories=["+@read"])
    url = own_valkey.url.replace("redis://", "redis://reader:PLANTED@")
    with client_of(environment, REDIS_URL=url) as client:
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["redis"] == "no_permission"
    assert "PLANTED" not in answer.text


def test_it_is_ready_though_redis_does_not_tell_its_role(
    environment: dict[str, str], own_valkey: Valkey
) -> None:
    with Redis.from_url(own_valkey.url) as admin:
        admin.acl_setuser(
            "writer",
            enabled=True,
            passwords=["+PLANTED"],
            categories=["+@all"],
            commands=["-info"],
            keys=["*"],
        )
    url = own_valkey.url.replace("redis://", "redis://writer:PLANTED@")
    with client_of(environment, REDIS_URL=url) as client:
        assert client.get("/readyz").status_code == 200


def test_a_hundred_probes_of_a_ledger_that_hangs_hold_one_thread(
    environment: dict[str, str], redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answered = threading.Semaphore(0), threading.Event()

    def hang(ledger: object) -> None:
        asked.release()
        assert answered.wait(60)

    monkeypatch.setattr("app.ledger.ledger.Ledger.ping", hang)
    monkeypatch.setattr("app.web.health.LEDGER_TIMEOUT", 0.05)
    with client_of(environment) as client, ThreadPoolExecutor(10) as callers:
        answers = [*callers.map(lambda _: client.get("/readyz"), range(100))]
        answered.set()
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["ledger"] for answer in answers} == {"does not answer within 0.05 s"}
    assert asked.acquire(blocking=False)
    assert not asked.acquire(blocking=False)


def test_who_asks_meanwhile_and_shortly_after_shares_the_answer() -> None:
    now, asked = [100.0], []

    async def ask() -> str:
        asked.append(now[0])
        await asyncio.sleep(0)
        return "ok"

    async def probe() -> None:
        answer = SharedAnswer(ask, lambda: now[0])
        assert await asyncio.gather(*(answer.get() for _ in range(100))) == ["ok"] * 100
        now[0] += KEPT * 0.9
        await answer.get()
        assert asked == [100.0]
        now[0] += KEPT * 0.2
        await answer.get()
        assert len(asked) == 2

    asyncio.run(probe())


def test_who_hangs_up_does_not_stop_the_question() -> None:
    async def probe() -> str:
        go_on = asyncio.Event()

        async def ask() -> str:
            await go_on.wait()
            return "ok"

        answer = SharedAnswer(ask, lambda: 0.0)
        first, second = (asyncio.create_task(answer.get()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait({first})
        go_on.set()
        return await second

    assert asyncio.run(probe()) == "ok"
