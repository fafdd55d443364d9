"""The clock's tasks that ask Stripe: one at a time over all clocks, and beside the ticks."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from redis import Redis
from structlog.testing import capture_logs

from app.operations import backfill as operation
from tests.support.account import Account
from tests.support.ledger import count_events
from tests.support.places import counts
from tests.support.waiting import eventually
from tests.support.workers import apply_one, with_stores
from workers import periodic
from workers.clock import TASKS_INTERVAL, Clock
from workers.periodic import PeriodicLock, PeriodicTask, periodic_tasks


def ended(clock: Clock) -> None:
    """Wait until the clock's tasks have ended."""
    assert all(each.join(20) for each in clock._tasks)


def test_a_clock_brings_in_what_no_delivery_has_brought(account: Account) -> None:
    account.verified()
    account.advance(120)
    clock = Clock(account.context)
    with capture_logs() as logs:
        clock.run_once()
        ended(clock)
    assert counts(account.context.stores.events)["queued"] == 3
    (line,) = [line for line in logs if line.get("missing")]
    assert (line["log_level"], line["missing"]) == ("warning", 3)


def test_a_clock_asks_about_sessions_that_are_due(account: Account) -> None:
    session = account.open()
    apply_one(account.context, account.stripe.retrieve(session, ""))
    account.sandbox.submit(session, "verified")
    account.advance(86400 + 60)
    clock = Clock(account.context)
    clock.run_once()
    ended(clock)
    standing = account.standing()
    assert standing is not None
    assert standing.status == "verified"


def test_without_a_key_a_clock_asks_nothing(account: Account) -> None:
    assert periodic_tasks(with_stores(account.context, stripe=None)) == []


def test_the_ticks_go_on_while_stripe_is_slow(account: Account, redis: Redis) -> None:
    account.verified()
    account.advance(120)
    slow = {"path": "/v1/", "delay": 0.7, "times": 4}
    account.sandbox.control("POST", "/faults", slow)
    clock = Clock(account.context)
    longest, began = 0.0, time.monotonic()
    while time.monotonic() - began < 2:
        before = time.monotonic()
        clock.run_once()
        longest = max(longest, time.monotonic() - before)
    assert longest < 0.5
    ended(clock)
    assert counts(account.context.stores.events)["queued"] == 3


def test_one_clock_of_many_runs_a_task(account: Account) -> None:
    begun: list[int] = []

    def work_of(number: int) -> Callable[[PeriodicLock], None]:
        return lambda lock: begun.append(number)

    clocks = [
        PeriodicTask("backfill", PeriodicLock(account.context, "backfill", 300), work_of(number))
        for number in range(4)
    ]
    for _ in range(3):
        for clock in clocks:
            clock.begin()
            assert clock.join(5)
    assert len(begun) == 1


def test_the_next_run_comes_when_the_lock_has_expired(account: Account, redis: Redis) -> None:
    begun: list[int] = []
    one = PeriodicTask(
        "sweep", PeriodicLock(account.context, "sweep", 60), lambda lock: begun.append(1)
    )
    one.begin()
    assert one.join(5)
    assert 55_000 < redis.pttl("identity:sweep") <= 60_000
    one.begin()
    assert one.join(5)
    assert len(begun) == 1
    redis.delete("identity:sweep")
    one.begin()
    assert one.join(5)
    assert len(begun) == 2


def test_a_lock_lasts_for_as_long_as_it_is_extended(account: Account, redis: Redis) -> None:
    lock = PeriodicLock(account.context, "sweep", 60)
    assert lock.acquire()
    redis.pexpire("identity:sweep", 1_000)
    assert lock.extend()
    assert redis.pttl("identity:sweep") > 55_000


def test_a_run_ends_if_its_lock_was_lost(account: Account, redis: Redis) -> None:
    lock = PeriodicLock(account.context, "backfill", 300)
    assert lock.acquire()
    redis.flushall()
    assert not lock.extend()
    assert PeriodicLock(account.context, "backfill", 300).acquire()
    assert not lock.extend()
    for day in range(3):
        account.verified(f"user-{day}")
        account.advance(10 * 86400)
    periodic.backfill(account.context, account.stripe, lock)
    assert counts(account.context.stores.events)["queued"] < 9


def test_a_stripe_that_is_away_is_tried_again_in_the_next_run(
    account: Account, redis: Redis
) -> None:
    account.verified()
    account.advance(120)
    account.sandbox.control("POST", "/faults", {"path": "/v1/events", "status": 503})
    beat = 0.0
    clock = Clock(account.context, monotonic=lambda: beat)
    with capture_logs() as logs:
        clock.run_once()
        ended(clock)
    assert [line["step"] for line in logs if line["event"] == "not now"] == ["backfill"]
    redis.delete("identity:backfill")
    beat += TASKS_INTERVAL
    clock.run_once()
    ended(clock)
    assert counts(account.context.stores.events)["queued"] == 3


def test_a_fault_of_ours_is_told_without_its_text_and_ends_no_clock(account: Account) -> None:
    def fault(lock: PeriodicLock) -> None:
        raise KeyError("Jenny Rosen")

    with capture_logs() as logs:
        broken = PeriodicTask("backfill", PeriodicLock(account.context, "backfill", 300), fault)
        broken.begin()
        assert broken.join(5)
    (line,) = logs
    assert (line["log_level"], line["error_class"]) == ("error", "KeyError")
    assert "Jenny" not in str(line)


def test_a_long_absence_is_made_up_for_in_runs_that_leave_room(
    account: Account, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operation, "CROWDED", 2)
    for day in range(6):
        account.verified(f"user-{day}")
        account.advance(5 * 86400)
    clock = Clock(account.context)
    seen = []

    def all_done() -> bool:
        redis.delete("identity:backfill")
        for each in clock._tasks:
            each.begin()
        ended(clock)
        seen.append(counts(account.context.stores.events)["queued"])
        account.work()
        return count_events(account.engine) >= 15

    eventually(all_done, 30)
    assert 0 < max(seen) <= 6
