"""Each effect, against a local Stripe in a process of its own."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from redis import Redis

from app.domain.effects import REDACT, REDACT_DUE, RETRIEVE, Effect
from app.domain.errors import Retry
from app.domain.event import SessionEvent
from app.operations.notify import CALLBACK, STREAM, SUBSCRIBER
from app.queue import breaker
from app.queue.breaker import Breaker
from app.queue.model import EFFECTS, effect_job
from app.queue.transitions import JobQueue
from app.stripe import client
from app.stripe.errors import StripeUnavailable
from tests.sandbox.processes import Sandbox
from tests.support.places import counts
from tests.support.waiting import eventually
from tests.support.workers import apply_one, payload, worker_of
from tests.workers.asked import KEY, asked, failed, opened, standing
from workers.context import Context
from workers.effects import EFFECT_RUNNERS
from workers.jobs import process_event, run_effect


def test_every_effect_that_can_be_asked_for_has_a_runner() -> None:
    kinds = {effect.kind for effect in get_args(Effect)} | {CALLBACK, SUBSCRIBER, STREAM}
    kinds |= {REDACT, REDACT_DUE, RETRIEVE}
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
    asking.stores.ledger.mark_effects([effect.id], status, 1)
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
    redis.zadd("rq:scheduled:identity-effects", {effect.id: 1})
    assert asking.stores.effects.promote() == 1
    worker.run_once()
    assert asking.stores.ledger.effect_status(effect.id) == "done"
    assert not any(counts(asking.stores.effects).values())


@pytest.mark.parametrize("kind", ["recheck", "retrieve", "cancel", "redact"])
def test_a_stripe_that_was_slow_to_fail_is_asked_by_no_effect_for_a_while(
    asking: Context, sandbox: Sandbox, redis: Redis, kind: str
) -> None:
    twelve_seconds = Breaker(redis, "Stripe", monotonic=iter([100.0, 112.0]).__next__)
    with pytest.raises(StripeUnavailable), twelve_seconds.watched():
        raise StripeUnavailable("late")
    sandbox.control("POST", "/faults", {"status": 500})
    effect = asked(asking, kind, "vs_nobody_may_ask_for")
    with pytest.raises(Retry, match="Stripe was slow to fail") as left_alone:
        run_effect(effect.pack(), asking)
    assert 50 < left_alone.value.after <= 60
    assert sandbox.control("GET", "/faults")["data"]  # Stripe was not asked
    assert asking.stores.ledger.effect_status(effect.id) == "pending"


def test_a_hanging_stripe_holds_up_one_effect_and_no_notification_behind_it(
    asking: Context, sandbox: Sandbox, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "TIMEOUT", 0.5)
    monkeypatch.setattr(breaker, "SLOW_FAILURE", 0.4)
    effects = [asked(asking, "recheck", opened(sandbox, f"user-{n}")) for n in range(5)]
    effects.append(asked(asking, "notify", "vs_1"))
    asking.stores.effects.enqueue_all([effect_job(one, asking.now()) for one in effects])
    sandbox.control("POST", "/faults", {"delay": 2.0, "times": 5})
    worker = worker_of(redis, asking, queue=JobQueue(redis, EFFECTS))
    for _ in effects:
        worker.run_once()
    assert asking.stores.ledger.effect_status(effects[-1].id) == "dropped"  # nobody is notified
    assert counts(asking.stores.effects)["scheduled"] == 5
    (fault,) = sandbox.control("GET", "/faults")["data"]
    assert fault["times"] == 4


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
