"""An outage is a line when it begins, one a minute while it lasts, and one when it is over."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.domain.errors import QueueUnavailable, StoreFailure
from app.ledger.engine import LedgerUnavailable
from app.outages import SHARED, Outages
from tests.workers.runs import Time

REDIS = QueueUnavailable("Redis at h:1 is full (OOM)", "full", "raise maxmemory")
LEDGER = LedgerUnavailable("PostgreSQL at h:2 is not there", "socket_missing", "start it")

Lines = list[Any]


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def lines() -> Iterator[Lines]:
    with capture_logs() as captured:
        yield captured


def outages(clock: Time, shared: list[float] | None = None) -> Outages:
    return Outages(clock, shared)


def fail_for(told: Outages, clock: Time, seconds: int, failure: StoreFailure = REDIS) -> None:
    """Fail once a second."""
    for _ in range(seconds):
        told.failed("work", failure)
        clock.now += 1


def test_an_hour_of_failures_is_a_line_a_minute(clock: Time, lines: Lines) -> None:
    told = outages(clock)
    fail_for(told, clock, 3600)
    told.succeeded("work")
    assert [line["event"] for line in lines] == [
        "waiting for Redis",
        *["still waiting for Redis"] * 59,
        "Redis is back",
    ]
    assert [line.get("for_seconds") for line in lines[1:4]] == [60, 120, 180]
    assert lines[-1]["after_seconds"] == 3600


def test_a_line_says_what_is_wrong_and_what_to_do(clock: Time, lines: Lines) -> None:
    outages(clock).failed("work", REDIS)
    assert lines == [
        {
            "event": "waiting for Redis",
            "error": "Redis at h:1 is full (OOM): raise maxmemory",
            "code": "full",
            "part": "outages",
            "log_level": "warning",
        }
    ]


def test_each_store_has_its_own_outage(clock: Time, lines: Lines) -> None:
    told = outages(clock)
    told.failed("rescue", REDIS)
    told.failed("count", LEDGER)
    told.succeeded("count")
    told.succeeded("rescue")
    assert [line["event"] for line in lines] == [
        "waiting for Redis",
        "the ledger is away",
        "the ledger is back",
        "Redis is back",
    ]


def test_a_step_that_did_not_fail_says_nothing_by_succeeding(clock: Time, lines: Lines) -> None:
    told = outages(clock)
    told.failed("purge", REDIS)
    told.succeeded("promote")
    fail_for(told, clock, 30)
    assert [line["event"] for line in lines] == ["waiting for Redis"]


def test_of_several_processes_one_tells(clock: Time, lines: Lines) -> None:
    shared = [0.0] * SHARED
    told = [outages(clock, shared) for _ in range(4)]
    for number in count():
        told[number % 4].failed("work", REDIS)
        clock.now += 1
        if number == 120:
            break
    for one in told:
        one.succeeded("work")
    assert [line["event"] for line in lines] == [
        "waiting for Redis",
        *["still waiting for Redis"] * 2,
        "Redis is back",
    ]


def test_an_outage_in_which_its_process_died_is_over_after_a_while(
    clock: Time, lines: Lines
) -> None:
    shared = [0.0] * SHARED
    outages(clock, shared).failed("work", REDIS)
    clock.now += 3600
    outages(clock, shared).failed("work", REDIS)
    assert [line["event"] for line in lines] == ["waiting for Redis"] * 2
