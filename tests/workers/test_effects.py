"""Each effect, against a local Stripe in a process of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest
from redis import Redis

from app.domain.effects import Effect, PendingEffect
from app.domain.event import SessionEvent
from app.domain.standing import Standing
from app.operations.notify import CALLBACK, STREAM, SUBSCRIBER
from app.queue.dead_letters import DeadLetters
from app.queue.model import EFFECTS, EVENTS, effect_job
from app.queue.transitions import JobQueue
from app.stripe.client import StripeApi
from app.stripe.errors import StripeUnavailable
from tests.sandbox.processes import Sandbox
from tests.support.places import counts, end_lease, field
from tests.support.waiting import eventually
from tests.support.workers import apply_one, event_job, payload, with_stores, worker_of
from workers.context import Context
from workers.effects import EFFECT_RUNNERS
from workers.jobs import process_event, run_effect

KEY = "sk_test_123"


@pytest.fixture
def asking(context: Context, sandbox: Sandbox) -> Context:
    """The context with Stripe in it."""
    return with_stores(context, stripe=StripeApi(KEY, sandbox.url))


def opened(sandbox: Sandbox, reference: str = "user-1") -> str:
    """A session that somebody has opened."""
    return (
        sandbox.client(KEY)
        .v1.identity.verification_sessions.create(
            {"type": "document", "client_reference_id": reference}
        )
        .id
    )


def failed(sandbox: Sandbox) -> str:
    """A session whose first attempt has failed."""
    session = opened(sandbox)
    sandbox.submit(session, "document_expired")
    eventually(lambda: sandbox.truth(session)["attempts"] == 1)
    return session


def asked(context: Context, kind: str, session: str, **fields: Any) -> PendingEffect:
    """An effect of this kind in the ledger, that nobody has done yet."""
    effect = PendingEffect(
        f"{session}-{kind}", kind, "", False, session, "user-1", 1, int(context.now())
    )
    effect = replace(effect, **fields)
    assert context.stores.ledger.add_effects([effect], 0) == [effect]
    return effect


def standing(context: Context, reference: str = "user-1") -> Standing | None:
    record = context.stores.ledger.read_reference(reference, livemode=False)
    return None if record is None else record.standing


def test_every_effect_that_can_be_asked_for_has_a_runner() -> None:
    kinds = {effect.kind for effect in get_args(Effect)} | {CALLBACK, SUBSCRIBER, STREAM}
    missing, unknown = kinds - EFFECT_RUNNERS.keys(), EFFECT_RUNNERS.keys() - kinds
    assert not missing, f"EFFECT_RUNNERS has no runner for {sorted(missing)}"
    assert not unknown, f"EFFECT_RUNNERS runs {sorted(unknown)}, which nothing asks for"


# --- recheck -----------------------------------------------------------------------------


def test_a_recheck_brings_the_ledger_what_stripe_says(asking: Context, sandbox: Sandbox) -> None:
    session = opened(sandbox)
    process_event(payload(session=session), asking)
    sandbox.submit(session, "verified")
    eventually(lambda: sandbox.truth(session)["status"] == "verified")
    effect = asked(asking, "recheck", session)
    run_effect(effect.pack(), asking)
    found = standing(asking)
    assert found is not None
    assert (found.status, found.session_id) == ("verified", session)
    assert asking.stores.ledger.effect_status(effect.id) == "done"


def test_a_recheck_that_stripe_cannot_answer_is_left_to_be_done(
    asking: Context, sandbox: Sandbox
) -> None:
    effect = asked(asking, "recheck", opened(sandbox))
    sandbox.control("POST", "/faults", {"status": 503})
    with pytest.raises(StripeUnavailable):
        run_effect(effect.pack(), asking)
    assert asking.stores.ledger.effect_status(effect.id) == "pending"
    run_effect(effect.pack(), asking)
    assert asking.stores.ledger.effect_status(effect.id) == "done"


def test_a_recheck_marks_a_session_that_stripe_does_not_know(asking: Context) -> None:
    apply_one(asking, SessionEvent.unpack(payload()).observation())
    effect = asked(asking, "recheck", "vs_1")
    run_effect(effect.pack(), asking)
    assert asking.stores.ledger.effect_status(effect.id) == "dropped"
    record = asking.stores.ledger.read_reference("user-1", livemode=False)
    assert record is not None
    assert record.missing == {"vs_1"}


# --- cancel ---------------------------------------------------------------------------------


def test_a_cancel_closes_the_session_at_stripe_and_in_the_ledger(
    asking: Context, sandbox: Sandbox
) -> None:
    session = failed(sandbox)
    run_effect(asked(asking, "cancel", session).pack(), asking)
    assert sandbox.truth(session)["status"] == "canceled"
    found = standing(asking)
    assert found is not None
    assert found.status == "canceled"


def test_a_cancel_lets_a_session_be_whose_person_has_gone_on(
    asking: Context, sandbox: Sandbox
) -> None:
    session = failed(sandbox)
    sandbox.submit(session, "verified")
    eventually(lambda: sandbox.truth(session)["status"] == "verified")
    effect = asked(asking, "cancel", session)
    run_effect(effect.pack(), asking)
    assert sandbox.truth(session)["status"] == "verified"
    assert asking.stores.ledger.effect_status(effect.id) == "done"


def test_a_cancel_whose_answer_was_lost_is_done_at_the_next_try(
    asking: Context, sandbox: Sandbox
) -> None:
    session = failed(sandbox)
    effect = asked(asking, "cancel", session)
    sandbox.control("POST", "/faults", {"method": "POST", "hang_up": "after"})
    with pytest.raises(StripeUnavailable):
        run_effect(effect.pack(), asking)
    run_effect(effect.pack(), asking)
    assert sandbox.truth(session)["status"] == "canceled"
    assert asking.stores.ledger.effect_status(effect.id) == "done"


@pytest.mark.parametrize("kind", ["cancel", "redact"])
def test_an_effect_gets_over_an_error_that_stripe_keeps_for_its_idempotency_key(
    asking: Context, sandbox: Sandbox, kind: str
) -> None:
    session = failed(sandbox)
    effect = asked(asking, kind, session)
    sandbox.control("POST", "/faults", {"method": "POST", "status": 500})
    with pytest.raises(StripeUnavailable):
        run_effect(effect.pack(), asking)
    run_effect(effect.pack(), asking)
    assert asking.stores.ledger.effect_status(effect.id) == "done"


# --- redact ---------------------------------------------------------------------------------


def test_a_redact_has_stripe_remove_the_person(asking: Context, sandbox: Sandbox) -> None:
    session = failed(sandbox)
    effect = asked(asking, "redact", session)
    run_effect(effect.pack(), asking)
    assert sandbox.truth(session)["redaction"] in ("validated", "processing")
    found = standing(asking)
    assert found is not None
    assert found.redaction == sandbox.truth(session)["redaction"]
    assert asking.stores.ledger.effect_status(effect.id) == "done"


def test_a_redact_waits_while_the_session_is_processing(asking: Context, sandbox: Sandbox) -> None:
    session = opened(sandbox)
    sandbox.submit(session, "verified", delay=3600)
    effect = asked(asking, "redact", session)
    with pytest.raises(StripeUnavailable):
        run_effect(effect.pack(), asking)
    assert sandbox.truth(session)["redaction"] is None
    assert asking.stores.ledger.effect_status(effect.id) == "pending"


def test_a_redact_does_not_ask_again_for_what_is_under_way(
    asking: Context, sandbox: Sandbox
) -> None:
    session = failed(sandbox)
    sandbox.client(KEY).v1.identity.verification_sessions.redact(session)
    effect = asked(asking, "redact", session)
    sandbox.control("POST", "/faults", {"method": "POST", "status": 500})
    run_effect(effect.pack(), asking)
    assert asking.stores.ledger.effect_status(effect.id) == "done"


# --- all that ask Stripe --------------------------------------------------------------------

ASKING = pytest.mark.parametrize("kind", ["recheck", "cancel", "redact"])


@ASKING
def test_an_effect_of_the_other_mode_is_dropped(
    asking: Context, sandbox: Sandbox, kind: str
) -> None:
    session = failed(sandbox)
    before = sandbox.truth(session)
    effect = asked(asking, kind, session, livemode=True)
    run_effect(effect.pack(), asking)
    assert asking.stores.ledger.effect_status(effect.id) == "dropped"
    assert sandbox.truth(session) == before


@ASKING
def test_an_effect_without_a_key_to_ask_with_is_dropped(context: Context, kind: str) -> None:
    effect = asked(context, kind, "vs_1")
    run_effect(effect.pack(), context)
    assert context.stores.ledger.effect_status(effect.id) == "dropped"


@ASKING
@pytest.mark.parametrize("status", ["done", "dropped"])
def test_what_is_done_is_not_done_again(
    asking: Context, sandbox: Sandbox, kind: str, status: Any
) -> None:
    effect = asked(asking, kind, "vs_nobody_may_ask_for")
    asking.stores.ledger.mark_effect(effect.id, status, 1)
    run_effect(effect.pack(), asking)
    assert asking.stores.ledger.effect_status(effect.id) == status


def test_an_effect_that_stripe_limits_is_done_by_the_worker_when_it_comes_again(
    asking: Context, sandbox: Sandbox, redis: Redis
) -> None:
    session = opened(sandbox)
    effect = asked(asking, "recheck", session)
    asking.stores.effects.enqueue(effect_job(effect, asking.now()))
    sandbox.control("POST", "/faults", {"status": 429, "retry_after": 1})
    worker = worker_of(redis, asking, queue=JobQueue(redis, EFFECTS))
    worker.run_once()
    assert counts(asking.stores.effects)["scheduled"] == 1
    redis.zadd("rq:scheduled:effects", {effect.id: 1})
    assert asking.stores.effects.promote() == 1
    worker.run_once()
    assert asking.stores.ledger.effect_status(effect.id) == "done"
    assert not any(counts(asking.stores.effects).values())


def test_an_effect_whose_worker_died_before_it_completed_the_job_asks_stripe_once(
    asking: Context, sandbox: Sandbox
) -> None:
    session = failed(sandbox)
    effect = asked(asking, "cancel", session)
    asking.stores.effects.enqueue(effect_job(effect, asking.now()))
    asking.stores.effects.claim("token", 60, 1)
    run_effect(effect.pack(), asking)
    before = list(sandbox.client(KEY).v1.events.list().data)
    run_effect(effect.pack(), asking)
    assert list(sandbox.client(KEY).v1.events.list().data) == before


# --- purge ----------------------------------------------------------------------------------


def dead(context: Context, *ids_and_sessions: tuple[str, str]) -> None:
    """Dead letters of these ids, of these sessions."""
    context.stores.events.enqueue_all(
        [event_job(id, session=session, reference="jenny") for id, session in ids_and_sessions]
    )
    for job in context.stores.events.claim("token", 60, 100):
        context.stores.events.bury(job, "permanent_error", "Broken", "it broke")


def test_a_purge_takes_the_reference_out_of_the_sessions_dead_letters_alone(
    context: Context, redis: Redis
) -> None:
    dead(context, ("evt_a", "vs_1"), ("evt_b", "vs_2"), ("evt_c", "vs_1"))
    before = {letter.id: letter for letter in DeadLetters(redis, EVENTS)}
    effect = asked(context, "purge", "vs_1")
    run_effect(effect.pack(), context)
    after = {letter.id: letter for letter in DeadLetters(redis, EVENTS)}
    assert {id: letter.payload["reference"] for id, letter in after.items()} == {
        "evt_a": None,
        "evt_b": "jenny",
        "evt_c": None,
    }
    data = field(redis, "evt_a", "data")
    assert data is not None
    assert "jenny" not in data
    assert after["evt_b"] == before["evt_b"]
    for id in ("evt_a", "evt_c"):
        purged = {**before[id].payload, "reference": None, "reference_source": 0}
        assert after[id] == replace(before[id], payload=purged)
    assert context.stores.ledger.effect_status(effect.id) == "done"


def test_a_purged_dead_letter_can_be_replayed_and_finds_its_user_in_the_ledger(
    context: Context, redis: Redis
) -> None:
    process_event(payload(id="evt_0", reference="jenny"), context)
    context.stores.events.enqueue(event_job("evt_1", "verified", "verified", reference="jenny"))
    (job,) = context.stores.events.claim("token", 60, 1)
    context.stores.events.bury(job, "permanent_error", "Broken", "it broke")
    run_effect(asked(context, "purge", "vs_1").pack(), context)
    assert context.stores.events.replay(["evt_1"]) == 1
    worker_of(redis, context).run_once()
    found = standing(context, "jenny")
    assert found is not None
    assert found.status == "verified"


def test_a_purge_leaves_what_is_still_under_way(context: Context, redis: Redis) -> None:
    context.stores.events.enqueue(event_job("evt_a"))
    context.stores.events.claim("token", 60, 1)
    run_effect(asked(context, "purge", "vs_1").pack(), context)
    end_lease(redis, "evt_a")
    context.stores.events.rescue()
    worker_of(redis, context).run_once()
    found = standing(context)
    assert found is not None
    assert found.status == "requires_input"


def test_the_redacted_event_itself_purges(context: Context, redis: Redis) -> None:
    dead(context, ("evt_a", "vs_1"))
    process_event(payload("redacted", "verified", id="evt_9", redaction="redacted"), context)
    worker_of(redis, context, queue=JobQueue(redis, EFFECTS)).run_once()
    (letter,) = DeadLetters(redis, EVENTS)
    assert letter.payload["reference"] is None
