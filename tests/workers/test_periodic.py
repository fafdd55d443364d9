"""The clock's tasks that ask Stripe: one at a time over all clocks, and beside the ticks."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from redis import Redis
from structlog.testing import capture_logs

from app.ledger.stats import read_stats
from app.operations import backfill as operation
from tests.support.account import Account
from tests.support.ledger import count_events, observation
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
    list(account.backfill().steps())
    account.advance(120)
    account.verified()
    account.advance(120)
    clock = Clock(account.context)
    with capture_logs() as logs:
        clock.run_once()
        ended(clock)
    assert counts(account.context.stores.events)["queued"] == 3
    (line,) = [line for line in logs if line.get("missing_count")]
    assert (line["log_level"], line["missing_count"]) == ("warning", 3)


def test_the_first_fill_of_a_new_ledger_is_no_warning(account: Account) -> None:
    account.verified()
    account.advance(120)
    clock = Clock(account.context)
    with capture_logs() as logs:
        clock.run_once()
        ended(clock)
    (line,) = [line for line in logs if line.get("missing_count")]
    assert (line["log_level"], line["missing_count"], line["missed_count"]) == ("info", 3, 0)


def test_a_clock_keeps_up_with_every_account_that_the_ledger_knows(account: Account) -> None:
    sessions = account.sandbox.client().v1.identity.verification_sessions
    for of in ("acct_clock1", "acct_clock2"):
        session = sessions.create({"type": "document"}, {"stripe_account": of})
        apply_one(account.context, account.stripe.retrieve(session.id, of))
    account.sandbox.control("POST", "/accounts/acct_clock1", {"platform": None})
    account.advance(120)
    clock = Clock(account.context)
    with capture_logs() as logs:
        clock.run_once()
        ended(clock)
    refused = [line["account"] for line in logs if line["event"].startswith("account cannot")]
    assert refused == ["acct_clock1"]
    (found,) = [line for line in logs if line.get("missing_count")]
    assert (found["account"], found["missing_count"]) == ("acct_clock2", 1)


def test_a_backfill_that_came_to_its_end_is_remembered(account: Account) -> None:
    stores = account.context.stores
    assert operation.last_success(stores) is None
    clock = Clock(account.context)
    clock.run_once()
    ended(clock)
    assert operation.last_success(stores) == int(account.context.now())


def test_a_backfill_that_was_broken_off_is_no_success(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operation.Backfill, "crowded", lambda self: True)
    clock = Clock(account.context)
    clock.run_once()
    ended(clock)
    assert operation.last_success(account.context.stores) is None


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


def test_a_clock_removes_old_events_and_counts_the_standings(
    account: Account, redis: Redis
) -> None:
    now, ledger = int(account.stripe_now()), account.context.stores.ledger
    for at in (now - 36 * 86_400, now):
        apply_one(account.context, observation("verified", at, session=f"vs_{at}", event=f"e{at}"))
    for _ in range(2):
        redis.delete("identity:count", "identity:prune")
        clock = Clock(account.context)
        clock.run_once()
        ended(clock)
    assert ledger.has_events([f"e{now - 36 * 86_400}", f"e{now}"]) == {f"e{now}"}
    assert read_stats(account.engine, now).standings == {("verified", False): 1}


def test_without_a_key_a_clock_asks_stripe_nothing(account: Account) -> None:
    tasks = periodic_tasks(with_stores(account.context, stripe=None))
    assert [task._name for task in tasks] == ["expiry", "count", "prune"]


def test_the_ticks_go_on_while_stripe_is_slow(account: Account, redis: Redis) -> None:
    account.verified()
    account.advance(120)
    slow = {"path": "/v1/", "delay": 2.5, "times": 1}
    account.sandbox.control("POST", "/faults", slow)
    clock = Clock(account.context)
    longest, began = 0.0, time.monotonic()
    while time.monotonic() - began < 2:
        before = time.monotonic()
        clock.run_once()
        longest = max(longest, time.monotonic() - before)
    assert longest < 2
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
    assert [line["step"] for line in logs if line["event"] == "step put off"] == ["backfill"]
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
