"""The clock has verifications expire, from Stripe's event to what the team is told."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from redis import Redis

from app.domain.durations import DAY
from app.operations.expire_verifications import CURSOR, expire_verifications
from app.stores import open_stores
from tests.support.account import Account
from tests.support.ledger import observation
from tests.support.workers import apply_one
from workers.clock import Clock
from workers.context import Context
from workers.jobs import run_effect

STREAM = "standings"


def under(account: Account, days: int | None) -> Context:
    """The same deployment with another REVERIFY_AFTER_DAYS."""
    settings = replace(
        account.context.stores.settings, reverify_after_days=days, notify_stream=STREAM
    )
    stores = replace(open_stores(settings), redis=account.context.stores.redis)
    context = Context.of(settings)
    return replace(context, stores=stores, now=account.stripe_now)


def expire(context: Context) -> int:
    """A run of the clock's; how many standings have changed."""
    return sum(expire_verifications(context.stores, context.now()))


def status(context: Context, reference: str = "user-1") -> str:
    record = context.stores.ledger.read_reference(reference, livemode=False)
    assert record is not None
    return record.standing.status


def until(context: Context, reference: str = "user-1") -> int | None:
    record = context.stores.ledger.read_reference(reference, livemode=False)
    assert record is not None
    return record.standing.verified_until


def messages(context: Context, redis: Redis) -> list[dict[str, Any]]:
    """Run what is asked for; all messages so far."""
    for effect in context.stores.ledger.effects_due_unsent(2**40, 1_000, overdue=2**40):
        run_effect(effect.pack(), context)
    entries: Any = redis.xrange(STREAM)
    return [json.loads(fields[b"message"]) for _, fields in entries]


def verified(account: Account, context: Context) -> None:
    session = account.verified()
    assert context.stores.stripe is not None
    apply_one(context, context.stores.stripe.retrieve(session, ""))


def test_a_verification_expires_by_the_clock_and_the_team_is_told(
    account: Account, redis: Redis
) -> None:
    context = under(account, 30)
    verified(account, context)
    expire(context)
    assert status(context) == "verified"
    account.advance(31 * DAY)
    clock = Clock(context)
    clock.run_once()
    assert all(task.join(20) for task in clock._tasks)
    assert status(context) == "expired"
    [message] = messages(context, redis)  # the newest of the two
    assert message["type"] == "reference.expired"
    assert message["data"]["standing"]["next_step"] == "submit"


def test_until_when_it_is_valid_and_what_for_is_told(account: Account, redis: Redis) -> None:
    context = under(account, 30)
    now = int(account.stripe_now())
    apply_one(context, observation("verified", now, purpose="driver"))
    [message] = messages(context, redis)
    data = message["data"]
    assert (data["client_reference_id"], data["purpose"]) == ("user_1", "driver")
    assert data["standing"]["verified_until"] == now + 30 * DAY


def test_every_setting_is_true_after_the_next_round(account: Account) -> None:
    context = under(account, None)
    verified(account, context)
    assert until(context) is None
    assert expire(context) == 0
    verified_at = account.standing()
    assert verified_at is not None
    assert verified_at.verified_at is not None
    for days in (30, 10, None, 20):
        context = under(account, days)
        assert expire(context) == 1
        assert until(context) == (None if days is None else verified_at.verified_at + days * DAY)
        assert expire(context) == 0
    account.advance(25 * DAY)
    assert expire(context) == 1
    assert status(context) == "expired"
    longer = under(account, 40)
    assert expire(longer) == 1
    assert status(longer) == "verified"


def test_where_it_was_never_on_nothing_is_reviewed(account: Account) -> None:
    context = under(account, None)
    verified(account, context)
    assert list(expire_verifications(context.stores, context.now())) == []
    assert context.stores.ledger.cursors.get(CURSOR) is None


def test_a_review_that_was_interrupted_goes_on_where_it_was(
    account: Account, monkeypatch: Any
) -> None:
    monkeypatch.setattr("app.operations.expire_verifications.BATCH_SIZE", 2)
    off, on = under(account, None), under(account, 30)
    for user in range(5):
        apply_one(off, observation("verified", 100, session=f"vs_{user}", reference=f"u{user}"))
    first = next(iter(expire_verifications(on.stores, on.now())))
    assert first == 2
    rest = list(expire_verifications(on.stores, on.now()))
    assert sum(rest) == 3


def test_a_recheck_of_an_expired_session_leaves_it_expired(account: Account) -> None:
    context = under(account, 30)
    verified(account, context)
    account.advance(31 * DAY)
    expire(context)
    [session] = [
        one.id
        for record in [context.stores.ledger.read_reference("user-1", livemode=False)]
        if record is not None
        for one in record.sessions
    ]
    assert context.stores.stripe is not None
    applied = apply_one(context, context.stores.stripe.retrieve(session, ""))
    assert applied.effects == ()
    assert status(context) == "expired"
