"""200 only when it is as safe as DURABILITY asks, over real Redis and the whole application."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from redis import Redis
from starlette.testclient import TestClient

from app.configuration.settings import Settings
from app.local.valkey import Valkey
from app.queue.connection import open_redis
from app.queue.model import EVENTS
from app.queue.transitions import JobQueue
from app.web.main import create_app
from tests.support.waiting import eventually
from tests.web.deliveries import URL, event, signed


@pytest.fixture
def everysec(tmp_path: Path) -> Iterator[Valkey]:
    """A server that syncs each second, as most plans do."""
    with Valkey(tmp_path / "valkey", fsync="everysec") as server:
        yield server


@contextmanager
def application(
    environment: dict[str, str], server: Valkey, durability: str
) -> Iterator[TestClient]:
    """The application on this server."""
    settings = {"REDIS_URL": server.url, "DURABILITY": durability}
    with TestClient(create_app(Settings.from_environment(environment | settings))) as client:
        yield client


def deliver(client: TestClient, id: str) -> httpx2.Response:
    body = event(id)
    return client.post(URL, content=body, headers=signed(body))


def blocked(redis: Redis) -> bool:
    """Whether a client waits in the server."""
    return bool(redis.info("clients")["blocked_clients"])


def test_no_200_is_sent_before_the_disk_has_it(
    environment: dict[str, str], everysec: Valkey
) -> None:
    with (
        open_redis(everysec.url) as redis,
        application(environment, everysec, "disk") as client,
        ThreadPoolExecutor(1) as threads,
    ):
        assert deliver(client, "evt_1").status_code == 200
        redis.config_set("appendfsync", "no")  # from here on no sync comes
        sent = threads.submit(deliver, client, "evt_2")
        eventually(lambda: JobQueue(redis, EVENTS).statuses(["evt_2"])["evt_2"] == "queued")
        eventually(lambda: blocked(redis))
        assert not sent.done()
        redis.config_set("appendfsync", "everysec")
        assert sent.result(20).json() == {"outcome": "enqueued"}


def test_a_delivery_that_does_not_get_to_the_disk_in_time_is_answered_503_and_the_log_says_why(
    environment: dict[str, str],
    everysec: Valkey,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with (
        open_redis(everysec.url) as redis,
        application(environment, everysec, "disk") as client,
    ):
        assert deliver(client, "evt_1").status_code == 200
        redis.config_set("appendfsync", "no")
        monkeypatch.setattr("app.queue.confirming.WAIT_TIMEOUT", 0.1)
        answer = deliver(client, "evt_2")
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert "not on the disk of Redis within 0.1 s" in capsys.readouterr().out


def test_what_was_answered_200_under_everysec_outlives_a_kill(
    environment: dict[str, str], everysec: Valkey
) -> None:
    ids = [f"evt_{number}" for number in range(40)]
    with (
        application(environment, everysec, "disk") as client,
        ThreadPoolExecutor(len(ids)) as threads,
    ):
        answers = list(threads.map(lambda one: deliver(client, one).status_code, ids))
        everysec.kill()
    everysec.start()
    assert answers == [200] * len(ids)
    with open_redis(everysec.url) as redis:
        assert set(JobQueue(redis, EVENTS).statuses(ids).values()) == {"queued"}


def saying(what: str, capsys: pytest.CaptureFixture[str]) -> Callable[[], bool]:
    """Whether the log has said this since."""
    output = ""

    def is_said() -> bool:
        nonlocal output
        output += capsys.readouterr().out
        return what in output

    return is_said


@pytest.mark.parametrize(
    ("durability", "said"),
    [("disk", "on the disk of Redis, whose next sync"), ("memory", "may lose the last seconds")],
)
def test_one_line_at_start_says_what_a_200_means(
    environment: dict[str, str],
    everysec: Valkey,
    durability: str,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    is_said = saying(said, capsys)
    with application(environment, everysec, durability):
        eventually(is_said)


def test_a_process_starts_and_says_so_though_redis_is_away(
    environment: dict[str, str], everysec: Valkey, capsys: pytest.CaptureFixture[str]
) -> None:
    everysec.stop()
    is_said = saying("durability is not known yet", capsys)
    with application(environment, everysec, "disk") as client:
        eventually(is_said)
        everysec.start()
        assert deliver(client, "evt_1").status_code == 200


def test_what_memory_means_is_said_though_redis_is_away(
    environment: dict[str, str], everysec: Valkey, capsys: pytest.CaptureFixture[str]
) -> None:
    everysec.stop()
    is_said = saying("may lose the last seconds", capsys)
    with application(environment, everysec, "memory"):
        eventually(is_said)
