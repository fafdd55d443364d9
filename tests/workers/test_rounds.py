"""The clock's rounds with Stripe: one at a time over all clocks, and beside the ticks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from redis import Redis
from structlog.testing import capture_logs

from app.cli.local.valkey import Valkey
from app.operations import backfill as operation
from tests.operations.account import Account, opened_account
from tests.sandbox.processes import Sandbox, eventually, running
from workers import rounds
from workers.clock import ROUNDS_EVERY, Clock
from workers.rounds import Round, Turn, rounds_of


@pytest.fixture(scope="module")
def process() -> Iterator[Sandbox]:
    with running("--seed", "25") as sandbox:
        yield sandbox


@pytest.fixture
def account(
    process: Sandbox, redis: Redis, valkey: Valkey, migrated: Path, tmp_path: Path
) -> Iterator[Account]:
    with opened_account(process, valkey.url, migrated, tmp_path) as account:
        yield account


def ended(clock: Clock) -> None:
    """Wait until the clock's rounds are over."""
    assert all(each.join(20) for each in clock._rounds)


def test_a_clock_brings_in_what_no_delivery_has_brought(account: Account) -> None:
    account.verified()
    account.advance(120)
    clock = Clock(account.context)
    with capture_logs() as logs:
        clock.run_once()
        ended(clock)
    assert account.context.events.counts()["queued"] == 3
    (line,) = [line for line in logs if line.get("missing")]
    assert (line["log_level"], line["missing"]) == ("warning", 3)


def test_a_clock_asks_about_sessions_that_are_due(account: Account) -> None:
    session = account.open()
    account.context.apply(account.stripe.retrieve(session, ""))
    account.sandbox.submit(session, "verified")
    account.advance(86400 + 60)
    clock = Clock(account.context)
    clock.run_once()
    ended(clock)
    standing = account.standing()
    assert standing is not None
    assert standing.status == "verified"


def test_without_a_key_a_clock_asks_nothing(account: Account) -> None:
    assert rounds_of(replace(account.context, stripe=None)) == []


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
    assert account.context.events.counts()["queued"] == 3


def test_one_clock_of_many_does_a_round(account: Account) -> None:
    begun: list[int] = []

    def work_of(number: int) -> Callable[[Turn], None]:
        return lambda turn: begun.append(number)

    clocks = [
        Round("backfill", Turn(account.context, "backfill", 300), work_of(number))
        for number in range(4)
    ]
    for _ in range(3):
        for clock in clocks:
            clock.begin()
            assert clock.join(5)
    assert len(begun) == 1


def test_the_next_round_comes_when_the_turn_has_run_out(account: Account, redis: Redis) -> None:
    begun: list[int] = []
    one = Round("sweep", Turn(account.context, "sweep", 60), lambda turn: begun.append(1))
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


def test_a_turn_lasts_for_as_long_as_it_is_kept(account: Account, redis: Redis) -> None:
    turn = Turn(account.context, "sweep", 60)
    assert turn.take()
    redis.pexpire("identity:sweep", 1_000)
    assert turn.keep()
    assert redis.pttl("identity:sweep") > 55_000


def test_a_round_ends_where_its_turn_was_lost(account: Account, redis: Redis) -> None:
    turn = Turn(account.context, "backfill", 300)
    assert turn.take()
    redis.flushall()
    assert not turn.keep()
    assert Turn(account.context, "backfill", 300).take()
    assert not turn.keep()
    for day in range(3):
        account.verified(f"user-{day}")
        account.advance(10 * 86400)
    rounds.backfill(account.context, account.stripe, turn)
    assert account.context.events.counts()["queued"] < 9


def test_a_stripe_that_is_away_is_tried_again_in_the_next_round(
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
    beat += ROUNDS_EVERY
    clock.run_once()
    ended(clock)
    assert account.context.events.counts()["queued"] == 3


def test_a_fault_of_ours_is_told_without_its_text_and_ends_no_clock(account: Account) -> None:
    def fault(turn: Turn) -> None:
        raise KeyError("Jenny Rosen")

    with capture_logs() as logs:
        broken = Round("backfill", Turn(account.context, "backfill", 300), fault)
        broken.begin()
        assert broken.join(5)
    (line,) = logs
    assert (line["log_level"], line["error_class"]) == ("error", "KeyError")
    assert "Jenny" not in str(line)


def test_a_long_absence_is_made_up_for_in_rounds_that_leave_room(
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
        for each in clock._rounds:
            each.begin()
        ended(clock)
        seen.append(account.context.events.counts()["queued"])
        account.work()
        return account.context.ledger.count_events() >= 15

    eventually(all_done, 30)
    assert 0 < max(seen) <= 6
