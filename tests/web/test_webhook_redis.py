"""What a delivery does to Redis, and what happens if Redis is away."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from redis import Redis
from starlette.testclient import TestClient

from app.configuration.settings import Settings
from app.local.valkey import Valkey
from app.queue import batching
from app.queue.connection import open_redis
from app.web.main import create_app
from tests.support.events import SENSITIVE, report_body
from tests.web.deliveries import SECRET, URL, event, signed


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A server that only this test knows, to stop and to fill."""
    with Valkey(tmp_path / "valkey", fsync="no") as server:
        yield server


@pytest.fixture
def own_client(own_valkey: Valkey, environment: dict[str, str]) -> Iterator[TestClient]:
    """The application on that server."""
    settings = Settings.from_environment(environment | {"REDIS_URL": own_valkey.url})
    with TestClient(create_app(settings)) as client:
        yield client


def deliver(client: TestClient, id: str) -> httpx2.Response:
    body = event(id)
    return client.post(URL, content=body, headers=signed(body))


def assert_unavailable(answer: httpx2.Response) -> None:
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["error"] == {"type": "api_error", "message": "the queue cannot take it"}


@contextmanager
def hanging(server: Valkey) -> Iterator[None]:
    """Meanwhile the server takes connections and answers nothing."""
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.process.send_signal(signal.SIGCONT)


def test_while_redis_is_down_the_answer_is_503_and_it_comes_back_by_itself(
    own_valkey: Valkey, own_client: TestClient
) -> None:
    assert deliver(own_client, "evt_1").json() == {"outcome": "enqueued"}
    own_valkey.stop()
    assert_unavailable(deliver(own_client, "evt_2"))
    assert_unavailable(deliver(own_client, "evt_2"))
    own_valkey.start()
    assert deliver(own_client, "evt_2").json() == {"outcome": "enqueued"}
    assert deliver(own_client, "evt_1").json() == {"outcome": "duplicate"}


def test_while_redis_is_full_the_answer_is_503_and_it_comes_back_by_itself(
    own_valkey: Valkey, own_client: TestClient
) -> None:
    with open_redis(own_valkey.url) as redis:
        redis.config_set("maxmemory", 1)
        assert_unavailable(deliver(own_client, "evt_1"))
        assert redis.keys("rq:*") == []
        redis.config_set("maxmemory", 0)
    assert deliver(own_client, "evt_1").json() == {"outcome": "enqueued"}


def test_if_redis_hangs_the_answer_is_503(
    own_valkey: Valkey, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.queue.connection.SOCKET_TIMEOUT", 0.2)
    settings = Settings.from_environment(environment | {"REDIS_URL": own_valkey.url})
    with TestClient(create_app(settings)) as client:
        assert deliver(client, "evt_1").status_code == 200
        with hanging(own_valkey):
            assert_unavailable(deliver(client, "evt_2"))
        assert deliver(client, "evt_2").status_code == 200


def burst(environment: dict[str, str], count: int) -> Counter[int]:
    """The statuses of as many deliveries, all at once."""

    async def deliver(client: httpx2.AsyncClient, number: int) -> int:
        body = event(f"evt_{number}")
        return (await client.post(URL, content=body, headers=signed(body))).status_code

    async def deliver_all() -> Counter[int]:
        app = create_app(Settings.from_environment(environment))
        transport = httpx2.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=transport, base_url="http://identity.test") as client,
        ):
            return Counter(await asyncio.gather(*(deliver(client, n) for n in range(count))))

    return asyncio.run(deliver_all())


def test_a_burst_is_taken_over_a_few_connections(environment: dict[str, str], redis: Redis) -> None:
    before = redis.info("stats")["total_connections_received"]
    assert burst(environment, 300) == {200: 300}
    assert redis.llen("rq:queue:identity-events") == 300
    opened = redis.info("stats")["total_connections_received"] - before
    assert opened <= 1  # one call is under way at a time


def test_a_burst_at_a_redis_that_is_away_is_answered_503(
    environment: dict[str, str], own_valkey: Valkey
) -> None:
    own_valkey.stop()
    assert burst(environment | {"REDIS_URL": own_valkey.url}, 100) == {503: 100}


def test_a_delivery_that_cannot_get_its_turn_is_answered_503(
    environment: dict[str, str],
    own_valkey: Valkey,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(batching, "TURN_TIMEOUT", 0.05)
    monkeypatch.setattr(batching, "MAX_BATCH", 8)
    monkeypatch.setattr("app.queue.connection.SOCKET_TIMEOUT", 0.5)
    with hanging(own_valkey):
        assert burst(environment | {"REDIS_URL": own_valkey.url}, 32) == {503: 32}
    assert capsys.readouterr().out.count("too slow") == 24  # the others' call was under way


def test_a_delivery_is_one_round_trip(own_client: TestClient, own_valkey: Valkey) -> None:
    deliver(own_client, "evt_1")
    with (
        open_redis(own_valkey.url) as redis,
        open_redis(own_valkey.url) as watcher,
        watcher.monitor() as monitor,
    ):
        redis.ping()
        redis.echo("begin")
        deliver(own_client, "evt_2")
        redis.echo("end")
        seen: list[str] = []
        while not seen or seen[-1] != "ECHO end":
            command = monitor.next_command()
            if command["client_type"] != "lua":  # what scripts call takes no round trip
                seen.append(" ".join(command["command"].split()[:2]))
    sent = [words.split()[0] for words in seen[seen.index("ECHO begin") + 1 : -1]]
    assert sent == ["EVALSHA"]


def test_the_same_event_delivered_many_times_at_once_is_enqueued_once(
    client: TestClient, redis: Redis
) -> None:
    with ThreadPoolExecutor(8) as threads:
        outcomes = Counter(
            threads.map(lambda _: deliver(client, "evt_1").json()["outcome"], range(24))
        )
    assert outcomes == {"enqueued": 1, "duplicate": 23}
    assert redis.llen("rq:queue:identity-events") == 1


def test_a_delivery_needs_no_sql(environment: dict[str, str], redis: Redis, tmp_path: Path) -> None:
    away = {"DATABASE_URL": f"sqlite:///{tmp_path / 'no such folder' / 'ledger.db'}"}
    with TestClient(create_app(Settings.from_environment(environment | away))) as client:
        assert deliver(client, "evt_1").json() == {"outcome": "enqueued"}


def held(redis: Redis) -> str:
    """All keys and values of Redis."""
    found = []
    for key in redis.scan_iter():
        read: dict[Any, Callable[[Any], object]] = {
            b"hash": redis.hgetall,
            b"list": lambda key: redis.lrange(key, 0, -1),
            b"set": redis.smembers,
            b"zset": lambda key: redis.zrange(key, 0, -1),
            b"string": redis.get,
        }
        found.append(f"{key!r} {read[redis.type(key)](key)!r}")
    return "\n".join(found)


def test_nothing_personal_or_secret_gets_into_redis_or_the_log(
    client: TestClient, redis: Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    bodies = [
        event(
            "evt_1",
            name="verified",
            status="verified",
            reference="user-of-the-team",
            report=report_body(),
        ),
        event("evt_2", reference=None, metadata={"user_id": "user-of-the-team"}),
        event("evt_3", name="requires_input", error="document_expired", report="vr_1"),
        event("evt_4", name="redacted", status="verified", redaction="redacted"),
    ]
    for body in [*bodies, bodies[0]]:
        assert SENSITIVE.encode() in body
        assert client.post(URL, content=body, headers=signed(body)).status_code == 200
        assert client.post(URL, content=body, headers=signed(body, "whsec_x")).status_code == 400
    in_redis = held(redis)
    assert in_redis.count("user-of-the-team") == 2
    assert "evt_4" in in_redis
    assert "document_expired" in in_redis
    assert SENSITIVE not in in_redis
    assert "secret_test" not in in_redis
    log = capsys.readouterr().out
    assert "evt_4" in log
    for kept_out in (SENSITIVE, SECRET, "user-of-the-team", "secret_test"):
        assert kept_out not in log
