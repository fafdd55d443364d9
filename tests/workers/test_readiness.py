"""Workers wait for a ledger that is away or not migrated."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from redis import Redis
from structlog.testing import capture_logs

from app.ledger.engine import LedgerBroken, LedgerTooNew, LedgerUnavailable
from app.ledger.schema import head
from app.local.valkey import Valkey
from app.queue.model import EVENTS
from app.queue.transitions import JobQueue
from tests.support.places import place
from tests.support.stores import leave_as_later, migrate_database
from tests.support.workers import event_job
from tests.workers.process import started
from tests.workers.runs import Time
from workers.readiness import await_ledger


def waiting(answers: list[str | Exception | None], url: str = "sqlite://") -> list[str]:
    """What is said, a line each, while a look every ten seconds finds these."""
    clock, looks = Time(), iter(answers)

    def look() -> str | None:
        found = next(looks)
        if isinstance(found, Exception):
            raise found
        return found

    def sleep(seconds: float) -> None:
        clock.now += 10

    with capture_logs() as lines:
        await_ledger(url, mismatch=look, sleep=sleep, monotonic=clock)
    return [line.get("error", line["event"]) for line in lines]


def test_nothing_is_said_of_a_ledger_that_is_ready() -> None:
    assert waiting([None]) == []


def test_what_is_waited_for_is_said_when_it_begins_and_then_once_a_minute() -> None:
    said = waiting(["not migrated"] * 13 + [None])
    assert said == ["not migrated"] * 3 + ["the ledger is ready"]


def test_another_obstacle_is_said_at_once() -> None:
    away = LedgerUnavailable("away")
    said = waiting([away, away, LedgerBroken("no right"), "not migrated", None])
    assert said == ["away", "no right", "not migrated", "the ledger is ready"]


def real_obstacle(url: str) -> str:
    """What is said of this database."""

    def stop(seconds: float) -> None:
        raise InterruptedError

    with capture_logs() as lines, pytest.raises(InterruptedError):
        await_ledger(url, sleep=stop)
    (line,) = lines
    assert line["log_level"] == "warning"
    return str(line["error"])


def test_a_migrated_ledger_is_ready(database_url: str) -> None:
    await_ledger(database_url, sleep=lambda seconds: pytest.fail("it waits"))


def test_an_empty_database_has_to_be_migrated(tmp_path: Path) -> None:
    told = real_obstacle(f"sqlite:///{tmp_path / 'empty.db'}")
    assert told == "the ledger is not migrated: run `python -m app migrate`"


def test_a_ledger_of_a_later_release_is_worked_on_as_after_a_rollback(database_url: str) -> None:
    leave_as_later(database_url, since=head())
    await_ledger(database_url, sleep=lambda seconds: pytest.fail("it waits"))


def test_a_ledger_that_this_release_is_too_old_for_is_not_waited_for(database_url: str) -> None:
    leave_as_later(database_url, since="9999")
    with pytest.raises(LedgerTooNew):
        await_ledger(database_url, sleep=lambda seconds: pytest.fail("it waits"))


def test_a_database_that_cannot_be_opened_is_waited_for(tmp_path: Path) -> None:
    assert "ledger" in real_obstacle(f"sqlite:///{tmp_path / 'no such folder' / 'ledger.db'}")


@pytest.mark.slow
def test_workers_claim_nothing_before_the_ledger_is_migrated_and_then_go_on(
    redis: Redis, valkey: Valkey, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    JobQueue(redis, EVENTS).enqueue(event_job("evt_1", "verified", "verified"))
    with started("-m", "workers", REDIS_URL=valkey.url, DATABASE_URL=url) as told:
        told.await_line('"waiting for the ledger; nothing is claimed"')
        assert place(redis, "evt_1") == "queued"
        assert redis.scard("rq:workers") == 0
        migrate_database(url)
        told.await_line('"the ledger is ready"')
        told.await_line('"event processed"')
        told.process.send_signal(signal.SIGTERM)
        assert told.ended(30) == 0
        assert "Traceback" not in told.text


@pytest.mark.slow
def test_workers_that_wait_for_the_ledger_end_at_a_signal(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with started("-m", "workers", DATABASE_URL=url) as told:
        told.await_line('"waiting for the ledger; nothing is claimed"')
        told.process.send_signal(signal.SIGTERM)
        assert told.ended(10) == 0
        assert "Traceback" not in told.text
