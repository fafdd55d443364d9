"""Backfill: what Stripe has and ledger and queue have not comes in, once, the oldest first."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from redis import Redis

from app.domain.event import EVENT_TYPES, SessionEvent
from app.operations import backfill as module
from app.operations.backfill import OVERLAP, BackfillProgress
from app.operations.dlq.discard import discard
from app.queue.dead_letters import DeadLetters
from app.queue.model import EVENTS, decode, event_job, named
from app.stripe.answers import Page
from app.stripe.errors import StripeUnavailable
from app.stripe.retrying import PAUSES, RetryingStripe
from tests.support.account import Account, Lists
from tests.support.ledger import count_events
from tests.support.places import counts, field, new, one_of_each, place, queued
from tests.support.workers import apply_one


def run(account: Account, since: int | None = None, stripe: Any = None) -> BackfillProgress:
    """Through to the end."""
    *_, last = account.backfill(stripe).steps(since)
    return last


def event_at(redis: Redis, id: str) -> dict[str, Any]:
    """The event of a job."""
    data = field(redis, id, "data")
    assert data is not None
    return named(EVENTS, decode(data.encode()).arguments[0])


def test_what_no_delivery_has_brought_is_queued_the_oldest_first(
    account: Account, redis: Redis
) -> None:
    for day in range(3):
        account.verified(f"user-{day}")
        account.advance(86400)
    found = run(account)
    assert (found.events, found.missing, found.reached) == (9, 9, found.until)
    events = [event_at(redis, id) for id in queued(redis)]
    assert [event["reference"] for event in events] == [f"user-{n // 3}" for n in range(9)]
    names = [event["name"] for event in events]
    assert names == ["created", "processing", "verified"] * 3
    account.work()
    assert {account.status(f"user-{day}") for day in range(3)} == {"verified"}


def test_what_ledger_or_queue_has_is_not_missing(account: Account, redis: Redis) -> None:
    session = account.verified()
    account.advance(120)
    bodies = account.stripe.list_events({"limit": 100, "types": sorted(EVENT_TYPES)}).items
    events = [SessionEvent.parse(body) for body in bodies]
    in_queue, in_ledger, lost = [
        event for event in events if event and event.snapshot.id == session
    ]
    account.context.stores.events.enqueue(event_job(in_queue))
    apply_one(account.context, in_ledger.observation())
    found = run(account)
    assert (found.events, found.missing) == (3, 1)
    assert sorted(queued(redis)) == sorted([in_queue.id, lost.id])


def test_a_second_run_finds_nothing_missing(account: Account) -> None:
    account.verified()
    account.advance(120)
    assert [run(account).missing, run(account).missing] == [3, 0]
    account.work()
    assert run(account).missing == 0
    assert count_events(account.engine) == 3


def test_a_dead_letter_stays_dead_and_is_not_missing(account: Account, redis: Redis) -> None:
    account.verified()
    account.advance(120)
    run(account)
    job, *others = account.context.stores.events.claim("token", 60, 10)
    account.context.stores.events.bury(job, "permanent_error", "Broken", "it broke")
    account.context.stores.events.complete("token", [other.id for other in others])
    account.wipe_ledger()
    found = run(account)
    assert found.missing == len(others) == 2
    assert place(redis, job.id) == "failed"


def test_an_event_that_an_operator_has_discarded_does_not_come_back(account: Account) -> None:
    account.verified()
    account.advance(120)
    run(account)
    jobs = account.context.stores.events
    (first, *_) = jobs.claim("token", 60, 1)
    jobs.bury(first, "permanent_error", "Broken", "it broke")
    letters = list(DeadLetters(jobs.connection, EVENTS))
    assert discard(jobs, account.context.stores.ledger, letters, "made by a test", 1) == 1
    assert run(account).missing == 0
    account.work()
    assert count_events(account.engine) == 2


def test_an_empty_ledger_is_filled_though_the_queue_remembers_what_it_has_done(
    account: Account,
) -> None:
    account.verified()
    account.advance(120)
    run(account)
    account.work()
    before = account.standing()
    account.wipe_ledger()
    assert run(account).missing == 3
    account.work()
    after = account.standing()
    assert before is not None
    assert after is not None
    assert after._replace(version=0) == before._replace(version=0)


def test_if_redis_was_lost_all_thirty_days_are_checked(account: Account, redis: Redis) -> None:
    account.verified("lost in the queue")
    account.advance(20 * 86400)
    run(account)
    redis.flushall()
    found = run(account)
    assert (found.missing, found.until - found.since) == (3, 30 * 86400 + 1)


def test_if_redis_was_lost_the_effects_that_it_held_are_enqueued_again(
    account: Account, redis: Redis
) -> None:
    session = account.open()
    account.sandbox.submit(session, "verified", delay=3600)
    account.advance(120)
    run(account)
    account.work()
    effects = account.context.stores.effects
    assert counts(effects)["scheduled"] == 1
    redis.flushall()
    run(account)
    assert counts(effects)["scheduled"] == 1


def test_if_redis_was_set_back_its_own_checkpoint_counts(account: Account, redis: Redis) -> None:
    run(account)
    backup = redis.dump("identity:backfill_test")
    assert backup is not None
    account.verified()
    account.advance(10 * 86400)
    run(account)
    redis.flushall()
    redis.restore("identity:backfill_test", 0, backup)
    found = run(account)
    assert found.missing == 3
    assert found.until - found.since < 11 * 86400


def test_the_last_hour_before_the_checkpoint_is_looked_at_again(
    account: Account, redis: Redis
) -> None:
    account.verified()
    account.advance(OVERLAP - 60)
    assert run(account).missing == 3
    redis.delete("rq:queue:identity-events", *redis.keys("rq:job:*"))
    assert run(account).missing == 3
    account.advance(OVERLAP)
    redis.delete("rq:queue:identity-events", *redis.keys("rq:job:*"))
    assert run(account).missing == 3
    assert run(account).events == 0


def test_a_checkpoint_of_the_future_is_another_stripes_and_is_not_believed(
    account: Account, redis: Redis
) -> None:
    account.verified()
    account.advance(120)
    later = int(account.stripe_now()) + 1_000_000
    redis.set("identity:backfill_test", later)
    account.context.stores.ledger.cursors.set("backfill_test", str(later), 1)
    assert run(account).missing == 3


def test_since_leaves_the_checkpoint_if_there_would_be_a_gap(account: Account) -> None:
    account.verified("older")
    account.advance(5 * 86400)
    account.verified("newer")
    account.advance(120)
    found = run(account, since=int(account.stripe_now()) - 86400)
    assert (found.missing, found.events) == (3, 3)
    assert run(account).missing == 3


def test_since_reaches_back_before_the_checkpoint(account: Account, redis: Redis) -> None:
    account.verified()
    account.advance(5 * 86400)
    run(account)
    account.advance(86400)
    run(account)
    redis.delete("rq:queue:identity-events", *redis.keys("rq:job:*"))
    assert run(account).missing == 0
    assert run(account, since=0).missing == 3
    assert run(account).events == 0


def test_a_run_that_was_interrupted_continues_where_it_was(account: Account) -> None:
    for day in range(20):
        account.verified(f"user-{day}")
        account.advance(86400)
    reached = []
    for so_far in account.backfill().steps():
        reached.append(so_far)
        if so_far.missing:
            break
    found = run(account)
    assert found.since == reached[-1].reached - OVERLAP
    assert reached[-1].missing + found.missing == 60


def test_nothing_is_passed_over_if_stripe_fails_in_the_middle(account: Account) -> None:
    for day in range(6):
        account.verified(f"user-{day}")
        account.advance(86400)
    questions = 0

    def fail(params: dict[str, Any]) -> None:
        nonlocal questions
        questions += 1
        if questions % 8 == 0:
            raise StripeUnavailable("away")

    missing = 0
    for _ in range(30):
        try:
            for so_far in account.backfill(Lists(account.stripe, fail)).steps():
                found = so_far
            missing += found.missing
            break
        except StripeUnavailable:
            missing += found.missing
    assert missing == 18
    assert run(account).missing == 0


def test_a_slice_with_too_many_events_is_cut_until_they_fit(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE_SIZE", 2)
    monkeypatch.setattr(module, "MAX_PAGES", 2)
    for number in range(8):
        account.verified(f"user-{number}")
        account.advance(40 if number != 3 else 5 * 86400)
    account.advance(60)
    steps = list(account.backfill().steps())
    assert (steps[-1].events, steps[-1].missing) == (24, 24)
    taken = [after.events - before.events for before, after in pairwise(steps)]
    assert max(taken) <= 4
    account.work()
    assert count_events(account.engine) == 24


def test_the_events_of_one_second_are_read_however_many_they_are(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE_SIZE", 2)
    monkeypatch.setattr(module, "MAX_PAGES", 1)
    for _ in range(10):
        account.verified()
    account.advance(120)
    assert run(account).missing == 30


def test_a_long_quiet_time_takes_few_questions(account: Account) -> None:
    asked: list[dict[str, Any]] = []
    found = run(account, stripe=Lists(account.stripe, asked.append))
    assert found.until - found.since == 30 * 86400 + 1
    assert len(asked) < 15


def test_stripe_is_asked_for_our_six_types_and_never_for_what_failed_to_deliver(
    account: Account,
) -> None:
    asked: list[dict[str, Any]] = []
    run(account, stripe=Lists(account.stripe, asked.append))
    assert not any("delivery_success" in params for params in asked)
    assert {tuple(params["types"]) for params in asked[1:]} == {tuple(sorted(EVENT_TYPES))}


def test_an_event_that_cannot_be_read_is_left_out_and_reported(account: Account) -> None:
    account.verified()
    account.advance(120)

    class Odd(Lists):
        def list_events(self, params: dict[str, Any], account: str = "") -> Any:
            page: Page = super().list_events(params, account)
            broken = [
                {**item, "data": {"object": {**item["data"]["object"], "status": 7}}}
                if item["type"].endswith("processing")
                else item
                for item in page.items
            ]
            return replace(page, items=broken)

    told: list[str] = []
    odd = Odd(account.stripe, lambda params: None)
    *_, found = account.backfill(odd, report=told.append).steps()
    assert (found.missing, found.unreadable) == (2, 1)
    assert len(told) == 1
    assert told[0].startswith("left out: evt_")
    assert "user-1" not in told[0]


def test_if_stripe_limits_us_it_is_asked_again_after_growing_pauses(account: Account) -> None:
    account.verified()
    account.advance(120)
    told: list[str] = []
    slept: list[float] = []
    fault = {"path": "/v1/events", "status": 429, "times": 4}
    account.sandbox.control("POST", "/faults", fault)
    stripe = RetryingStripe(account.stripe, told.append, slept.append)
    assert run(account, stripe=stripe).missing == 3
    assert slept == [1, 2, 4, 8]
    assert told[0] == "Stripe limits our requests: asked again in 1 s"


def test_a_stripe_that_stays_away_is_given_up_in_the_end(account: Account) -> None:
    slept: list[float] = []
    account.sandbox.control("POST", "/faults", {"path": "/v1/events", "status": 500, "times": 99})
    with pytest.raises(StripeUnavailable):
        run(account, stripe=RetryingStripe(account.stripe, sleep=slept.append))
    assert slept == list(PAUSES)


def test_a_long_queue_is_crowded(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    account.verified()
    account.advance(120)
    monkeypatch.setattr(module, "CROWDED", 2)
    backfill = account.backfill()
    assert not backfill.crowded()
    list(backfill.steps())
    assert backfill.crowded()


def test_only_what_is_nowhere_or_finished_is_queued_and_all_else_stays_where_it_is(
    account: Account, redis: Redis
) -> None:
    jobs = account.context.stores.events
    before = one_of_each(jobs)
    answers = dict(zip(before, jobs.enqueue_missing([new(id) for id in before]), strict=True))
    moved = {id for id, answer in answers.items() if answer != "duplicate"}
    assert moved == {"finished"}
    assert {id: place(redis, id) for id in before} == {**before, "finished": "queued"}
    assert redis.ttl("rq:job:finished") == -1
    assert jobs.enqueue_missing([new("never seen")]) == ["enqueued"]
