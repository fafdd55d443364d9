"""How receivers are notified: in order, once, and each for itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, cast

import pytest
from redis import Redis
from starlette.datastructures import Secret

from app.configuration.settings import Settings
from app.domain.errors import Permanent, Retry
from app.ledger.engine import LedgerUnavailable
from app.ledger.notification_log import NotificationLog
from app.local.valkey import Valkey, free_port
from app.notifications import callback
from app.notifications.callback import ReceiverGone
from app.queue import breaker
from app.queue.dead_letters import DeadLetters
from app.queue.model import EFFECTS
from tests.notifications.receiver import SECRET, Receiver, answering, receiving, slow
from tests.operations import subscribing
from tests.support.ledger import named_in_metadata, observation
from tests.support.places import counts, members
from tests.support.workers import apply_one, worker_of
from workers.clock import EFFECT_GRACE, Clock
from workers.context import Context
from workers.jobs import run_effect

Make = Callable[..., Context]
SCHEDULED = "rq:scheduled:identity-effects"


@pytest.fixture
def make(redis: Redis, valkey: Valkey, database_url: str) -> Iterator[Make]:
    """Makes contexts with these receivers, over one empty ledger."""
    subscribing.forget()
    with ExitStack() as stack:

        def context(*, to: Receiver | str | None = None, **settings: Any) -> Context:
            if to is not None:
                settings |= {
                    "notify_url": to if isinstance(to, str) else to.url,
                    "notify_secrets": (Secret(SECRET),),
                    "notify_allow_private": True,
                }
            made = Context.of(
                Settings(
                    redis_url=Secret(valkey.url),
                    database_url=Secret(database_url),
                    **settings,
                )
            )
            stack.callback(made.stores.close)
            return made

        yield context


def verify_users(context: Context, number: int) -> None:
    """So many references, from u0 on, become verified."""
    for n in range(number):
        apply_one(context, observation("verified", 100, session=f"vs_{n}", reference=f"u{n}"))


def drain(context: Context, lease: int = 60) -> None:
    """Do all effects that are queued now."""
    effects = context.stores.effects
    worker = worker_of(effects.connection, context, queue=effects, lease=lease)
    while counts(effects)["queued"]:
        worker.run_once()


def hurry(context: Context) -> None:
    """What waits is due now."""
    for id in members(context.stores.redis, SCHEDULED):
        context.stores.redis.zadd(SCHEDULED, {id: 1})
    context.stores.effects.promote()


def due_times(redis: Redis) -> list[float]:
    """When each effect that waits is due, in Unix seconds."""
    found = redis.zrange(SCHEDULED, 0, -1, withscores=True)
    return [score for _, score in cast(list[tuple[bytes, float]], found)]


def accepted(receiver: Receiver) -> list[tuple[str, str]]:
    """The references and statuses of what it accepted, in order."""
    found = [message["data"] for message in receiver.accepted]
    return [(each["client_reference_id"], each["standing"]["status"]) for each in found]


def statuses(context: Context) -> set[str | None]:
    """How the effects ended that Redis still knows of."""
    keys = cast(list[bytes], context.stores.redis.keys("rq:job:*"))
    ids = [key.decode().removeprefix("rq:job:") for key in keys]
    return {context.stores.ledger.effect_status(id) for id in ids}


# --- each receiver for itself ---------------------------------------------------------------


def test_every_receiver_is_notified_of_a_change(make: Make, redis: Redis) -> None:
    with receiving() as receiver:
        context = make(to=receiver, subscriber=subscribing.PATH, notify_stream="changes")
        apply_one(context, observation("verified", 100))
        drain(context)
        assert accepted(receiver) == [("user_1", "verified")]
    (noted,) = subscribing.noted
    ((_, entry),) = cast(list[tuple[bytes, dict[bytes, bytes]]], redis.xrange("changes"))
    assert noted.id == receiver.accepted[0]["id"] == entry[b"id"].decode()
    assert statuses(context) == {"done"}


def test_a_receiver_that_is_away_holds_up_no_other(make: Make, redis: Redis) -> None:
    away = f"http://127.0.0.1:{free_port()}/"
    context = make(to=away, subscriber=subscribing.PATH, notify_stream="changes")
    apply_one(context, observation("verified", 100))
    drain(context)
    assert len(subscribing.noted) == 1
    assert redis.xlen("changes") == 1
    assert counts(context.stores.effects)["scheduled"] == 1


def test_a_receiver_that_is_slow_to_fail_is_left_alone_and_notified_later(
    make: Make, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callback, "READ_TIMEOUT", 0.1)
    monkeypatch.setattr(breaker, "SLOW_FAILURE", 0.1)
    with receiving(slow(0.5, answering(500))) as receiver:
        context = make(to=receiver, subscriber=subscribing.PATH)
        verify_users(context, 5)
        drain(context)
        assert len(receiver.requests) == 1
        assert len(subscribing.noted) == 5
        assert len(due_times(redis)) == 5
        redis.delete("identity:resting:notify_callback")  # its time has passed
        hurry(context)
        drain(context)
        assert sorted(accepted(receiver)) == [(f"u{number}", "verified") for number in range(5)]


def test_a_receiver_that_fails_at_once_is_asked_for_each_reference(make: Make) -> None:
    with receiving(answering(503), answering(503)) as receiver:
        context = make(to=receiver)
        verify_users(context, 3)
        drain(context)
        assert accepted(receiver) == [("u2", "verified")]


def test_what_a_receiver_knows_is_kept_apart(make: Make) -> None:
    with receiving(answering(500)) as receiver:
        context = make(to=receiver, subscriber=subscribing.PATH)
        apply_one(context, observation("requires_input", 100, error="abandoned"))
        drain(context)
        apply_one(context, observation("verified", 200))
        drain(context)
        (message,) = receiver.accepted
    assert message["data"]["previous_status"] is None
    assert [each.previous_status for each in subscribing.noted] == [None, "requires_input"]


def test_a_receiver_that_is_no_longer_configured_is_not_notified(make: Make) -> None:
    context = make(subscriber=subscribing.PATH, notify_stream="changes")
    apply_one(context, observation("verified", 100))
    drain(make(notify_stream="changes"))
    assert subscribing.noted == []
    assert statuses(context) == {"done"}


def test_nobody_is_notified_if_no_receiver_is_configured(make: Make) -> None:
    context = make()
    assert apply_one(context, observation("verified", 100)).effects == ()


# --- order ----------------------------------------------------------------------------------


def test_a_newer_standing_overtakes_an_older_one_that_waits(make: Make) -> None:
    with receiving(answering(500)) as receiver:
        context = make(to=receiver)
        apply_one(context, observation("requires_input", 100, error="abandoned"))
        drain(context)
        apply_one(context, observation("verified", 200))
        drain(context)
        hurry(context)
        drain(context)
        assert accepted(receiver) == [("user_1", "verified")]
        assert len(receiver.requests) == 2
    assert statuses(context) == {"done", "dropped"}


def test_the_older_effect_that_comes_first_sends_the_newer_standing(make: Make) -> None:
    with receiving() as receiver:
        context = make(to=receiver)
        apply_one(context, observation("requires_input", 100, error="abandoned"))
        apply_one(context, observation("verified", 200))
        drain(context)
        assert accepted(receiver) == [("user_1", "verified")]
    assert statuses(context) == {"done", "dropped"}


def test_the_previous_status_is_that_of_the_receivers_last_message(make: Make) -> None:
    context = make(subscriber=subscribing.PATH)
    apply_one(context, observation("requires_input", 100, error="abandoned"))
    drain(context)
    apply_one(context, observation("processing", 150))  # nobody is notified of that
    apply_one(context, observation("verified", 200))
    drain(context)
    told = [(each.previous_status, each.standing.status) for each in subscribing.noted]
    assert told == [(None, "requires_input"), ("requires_input", "verified")]


def test_two_workers_do_not_notify_one_reference_at_once(make: Make) -> None:
    context = make(subscriber=subscribing.PATH)
    (first,) = apply_one(context, observation("requires_input", 100, error="abandoned")).effects
    seen: list[Exception] = []

    def other_worker() -> None:
        (second,) = apply_one(context, observation("verified", 200)).effects
        with pytest.raises(Retry) as raised:
            run_effect(second.pack(), context)
        seen.append(raised.value)
        (apart,) = apply_one(
            context, observation("verified", 200, session="vs_2", reference="u2")
        ).effects
        run_effect(apart.pack(), context)

    subscribing.meanwhile.append(other_worker)
    run_effect(first.pack(), context)
    assert len(seen) == 1
    drain(context)
    hurry(context)
    drain(context)
    told = [(each.client_reference_id, each.standing.status) for each in subscribing.noted]
    assert told == [("u2", "verified"), ("user_1", "requires_input"), ("user_1", "verified")]


@pytest.mark.parametrize(("lease", "expected"), [(60, 30), (6, 6)])
def test_the_lock_of_a_worker_that_was_killed_ends_by_itself(
    make: Make, redis: Redis, lease: int, expected: int
) -> None:
    context = make(subscriber=subscribing.PATH, lease_seconds=lease)
    left: list[int] = []
    subscribing.meanwhile.append(
        lambda: left.extend(redis.ttl(key) for key in redis.keys("identity:notify:*"))
    )
    apply_one(context, observation("verified", 100))
    drain(context)
    assert left == [pytest.approx(expected, abs=1)]
    assert redis.keys("identity:notify:*") == []


def test_a_worker_that_dies_before_it_records_a_message_sends_it_again(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise LedgerUnavailable("away")

    context = make(subscriber=subscribing.PATH)
    apply_one(context, observation("verified", 100))
    with monkeypatch.context() as patched:
        patched.setattr(NotificationLog, "record_sent", die)
        drain(context)
    hurry(context)
    drain(context)
    first, second = subscribing.noted
    assert first == second


# --- 410 ------------------------------------------------------------------------------------


def test_after_410_nothing_is_sent_to_that_address(make: Make, redis: Redis) -> None:
    with receiving(answering(410)) as receiver:
        context = make(to=receiver, notify_stream="changes")
        verify_users(context, 3)
        drain(context)
        assert len(receiver.requests) == 1
        assert redis.xlen("changes") == 3
        (letter,) = DeadLetters(redis, EFFECTS)
        assert (letter.reason, letter.error_class) == ("permanent_error", ReceiverGone.__name__)
        # Somebody has tried it since: what comes now is sent, and the dead letter can be replayed.
        context.stores.ledger.cursors.set(context.receivers.gone_flag, "", 1)
        context.stores.effects.replay([letter.id])
        apply_one(context, observation("verified", 100, session="vs_9", reference="u9"))
        drain(context)
        assert sorted(accepted(receiver)) == [("u0", "verified"), ("u9", "verified")]


def test_another_address_is_notified_after_the_old_one_answered_410(make: Make) -> None:
    with receiving(answering(410)) as receiver:
        context = make(to=receiver)
        apply_one(context, observation("verified", 100))
        drain(context)
        moved = make(to=receiver.url + "&moved=1")
        apply_one(moved, observation("verified", 100, session="vs_2", reference="u2"))
        drain(moved)
        assert accepted(receiver) == [("u2", "verified")]


# --- nothing is forgotten -------------------------------------------------------------------


def test_both_references_are_notified_when_a_session_moves_to_the_other(make: Make) -> None:
    context = make(subscriber=subscribing.PATH)
    apply_one(context, named_in_metadata("verified", 100, "a"))
    drain(context)
    apply_one(context, named_in_metadata("verified", 200, "b"))
    drain(context)
    told = {(each.client_reference_id, each.standing.status) for each in subscribing.noted}
    assert told == {("a", "verified"), ("a", "none"), ("b", "verified")}


def test_two_answers_of_one_second_are_both_notified(make: Make) -> None:
    context = make(subscriber=subscribing.PATH)
    answer = observation("verified", 100, event="")._replace(transition=False)
    apply_one(context, answer)
    drain(context)
    redacting = answer.snapshot._replace(redaction="processing")
    apply_one(context, answer._replace(snapshot=redacting))
    drain(context)
    assert [each.standing.redaction for each in subscribing.noted] == [None, "processing"]


def test_a_change_whose_process_died_before_it_was_queued_is_notified(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = make(subscriber=subscribing.PATH, notify_stream="changes")
    with monkeypatch.context() as patched:
        patched.setattr("app.operations.apply.enqueue_effects", lambda *_: None)  # it dies there
        apply_one(context, observation("verified", 100))
    drain(context)
    assert subscribing.noted == []
    later = replace(context, now=lambda: time.time() + EFFECT_GRACE + 2)
    Clock(later).run_once()
    with monkeypatch.context() as patched:
        # And once more, at the second step.
        patched.setattr("workers.effects.enqueue_effects", lambda *_: None)
        drain(context)
    assert subscribing.noted == []
    Clock(replace(later, now=lambda: time.time() + 3 * EFFECT_GRACE)).run_once()
    drain(context)
    assert len(subscribing.noted) == 1


def test_the_time_that_a_receiver_asks_for_is_waited(make: Make, redis: Redis) -> None:
    with receiving(answering(429, Retry_After="500")) as receiver:
        context = make(to=receiver)
        apply_one(context, observation("verified", 100))
        drain(context)
    (due,) = due_times(redis)
    assert 490 < due - time.time() <= 500


def test_a_receiver_that_never_answers_2xx_ends_in_the_dead_letters(
    make: Make, redis: Redis
) -> None:
    with receiving(*[answering(500)] * 20) as receiver:
        context = make(to=receiver)
        apply_one(context, observation("verified", 100))
        for _ in range(20):
            drain(context)
            hurry(context)
        (letter,) = DeadLetters(redis, EFFECTS)
        assert (letter.reason, letter.error) == ("attempts_exhausted", "the receiver answered 500")
        context.stores.effects.replay([letter.id])
        drain(context)
        assert accepted(receiver) == [("user_1", "verified")]


def test_a_subscriber_that_takes_too_long_ends_in_the_dead_letters(
    make: Make, redis: Redis
) -> None:
    context = make(subscriber=subscribing.SLOW)
    apply_one(context, observation("verified", 100))
    drain(context, lease=2)
    hurry(context)
    drain(context, lease=2)
    (letter,) = DeadLetters(redis, EFFECTS)
    assert letter.reason == "timed_out"


def test_what_is_permanent_to_the_subscriber_is_a_dead_letter_at_once(
    make: Make, redis: Redis
) -> None:
    context = make(subscriber=subscribing.PATH)
    subscribing.errors.append(Permanent("no such user"))
    apply_one(context, observation("verified", 100))
    drain(context)
    (letter,) = DeadLetters(redis, EFFECTS)
    assert (letter.reason, letter.error) == ("permanent_error", "no such user")
