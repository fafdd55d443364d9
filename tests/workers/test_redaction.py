"""Redaction as the workers do it, against a local Stripe in a process of its own."""

from __future__ import annotations

import time
from dataclasses import replace
from unittest.mock import patch

import pytest
from redis import Redis

from app.domain.errors import QueueUnavailable
from app.ledger.engine import LedgerUnavailable
from app.ledger.redactions import Redactions
from app.operations import purge_letters
from app.operations.purge_letters import purge_new_letters
from app.queue.dead_letters import DeadLetters
from app.queue.model import EFFECTS, EVENTS, effect_job
from app.queue.transitions import MAX_EXPIRIES, JobQueue
from app.stripe.errors import StripeRefused, StripeUnavailable
from tests.sandbox.processes import Sandbox
from tests.support.places import counts, end_lease, field, rescue
from tests.support.workers import event_job, payload, worker_of
from tests.workers.asked import KEY, asked, failed, opened, standing
from workers.clock import Clock
from workers.context import Context
from workers.jobs import process_event, run_effect
from workers.redaction import RedactionRefused

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
    found = standing(asking)
    assert found is not None
    assert found.status == "processing"  # what it was told on the way


def test_a_redact_does_not_ask_again_for_what_is_under_way(
    asking: Context, sandbox: Sandbox
) -> None:
    session = failed(sandbox)
    sandbox.client(KEY).v1.identity.verification_sessions.redact(session)
    effect = asked(asking, "redact", session)
    sandbox.control("POST", "/faults", {"method": "POST", "status": 500})
    run_effect(effect.pack(), asking)
    assert asking.stores.ledger.effect_status(effect.id) == "done"


# --- canceled sessions ----------------------------------------------------------------------


def canceled(sandbox: Sandbox, session: str) -> str:
    """The session, closed; and Stripe refuses to redact it, as it may."""
    sandbox.client(KEY).v1.identity.verification_sessions.cancel(session)
    refuse(sandbox, session, 400)
    return session


def refuse(sandbox: Sandbox, session: str, status: int) -> None:
    """Stripe refuses the next request to redact the session."""
    path = f"/v1/identity/verification_sessions/{session}/redact"
    sandbox.control("POST", "/faults", {"method": "POST", "path": path, "status": status})


def test_a_session_closed_before_any_submission_holds_nothing_to_redact(
    asking: Context, sandbox: Sandbox
) -> None:
    effect = asked(asking, "redact", canceled(sandbox, opened(sandbox)))
    run_effect(effect.pack(), asking)
    assert asking.stores.ledger.effect_status(effect.id) == "dropped"


def test_a_refusal_to_redact_a_session_closed_after_an_attempt_is_a_dead_letter_with_its_reason(
    asking: Context, sandbox: Sandbox, redis: Redis
) -> None:
    session = canceled(sandbox, failed(sandbox))
    effect = asked(asking, "redact", session)
    asking.stores.effects.enqueue(effect_job(effect, asking.now()))
    worker_of(redis, asking, queue=JobQueue(redis, EFFECTS)).run_once()
    (letter,) = DeadLetters(redis, EFFECTS)
    assert (letter.id, letter.error_class) == (effect.id, "RedactionRefused")
    assert f"{session} is canceled and something was submitted" in letter.error
    assert asking.stores.ledger.effect_status(effect.id) == "pending"


def test_an_attempt_that_only_the_ledger_knows_of_is_not_forgotten(
    asking: Context, sandbox: Sandbox
) -> None:
    session = opened(sandbox)
    process_event(payload("requires_input", session=session, error="document_expired"), asking)
    effect = asked(asking, "redact", canceled(sandbox, session))
    with pytest.raises(RedactionRefused):
        run_effect(effect.pack(), asking)


def test_a_key_that_may_not_redact_is_no_reason_to_drop_a_redaction(
    asking: Context, sandbox: Sandbox
) -> None:
    session = opened(sandbox)
    sandbox.client(KEY).v1.identity.verification_sessions.cancel(session)
    refuse(sandbox, session, 403)
    with pytest.raises(StripeRefused):
        run_effect(asked(asking, "redact", session).pack(), asking)


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
    (letter,) = DeadLetters(redis, EVENTS)
    assert letter.payload["reference"] is None
    assert context.stores.ledger.effect_status("evt_9-purge") == "done"
    assert counts(JobQueue(redis, EFFECTS))["queued"] == 0


@pytest.mark.parametrize(
    ("broken", "failure"),
    [
        ("app.operations.purge_sessions.purge_sessions", QueueUnavailable("away")),
        ("app.ledger.ledger.Ledger.mark_effects", LedgerUnavailable("away")),
    ],
    ids=["queue", "ledger"],
)
def test_a_purge_that_a_store_does_not_allow_at_once_is_left_to_a_worker(
    context: Context, redis: Redis, broken: str, failure: Exception
) -> None:
    dead(context, ("evt_a", "vs_1"))
    event = payload("redacted", "verified", id="evt_9", redaction="redacted")
    with patch(broken, side_effect=failure):
        process_event(event, context)
    assert context.stores.ledger.effect_status("evt_9-purge") == "pending"
    worker_of(redis, context, queue=JobQueue(redis, EFFECTS)).run_once()
    (letter,) = DeadLetters(redis, EVENTS)
    assert letter.payload["reference"] is None
    assert context.stores.ledger.effect_status("evt_9-purge") == "done"


def deferred(context: Context, id: str = "evt_a", session: str = "vs_1") -> None:
    """An event that waits for its next try."""
    context.stores.events.enqueue(event_job(id, session=session, reference="jenny"))
    (job,) = context.stores.events.claim("token", 60, 1)
    context.stores.events.retry_later(job, 3600, "Busy", "busy")


def redacted(context: Context, session: str = "vs_1", id: str = "evt_9") -> None:
    """The session is redacted, and what there is of it in the queue is purged."""
    fields = {"session": session, "reference": "jenny"}
    process_event(payload("redacted", "verified", id=id, redaction="redacted", **fields), context)


def names_jenny(redis: Redis, id: str) -> bool:
    return "jenny" in str(field(redis, id, "data"))


def test_a_purge_takes_the_reference_out_of_what_waits_for_its_next_try(
    context: Context, redis: Redis
) -> None:
    deferred(context)
    deferred(context, "evt_b", "vs_2")
    redacted(context)
    assert not names_jenny(redis, "evt_a")
    assert names_jenny(redis, "evt_b")
    assert counts(context.stores.events)["scheduled"] == 2


def test_a_purge_asks_redis_for_no_letter_of_another_session(
    context: Context, redis: Redis
) -> None:
    dead(context, *((f"evt_{n}", f"vs_{n}") for n in range(60)))
    effect = asked(context, "purge", "vs_1")
    before = commands(redis)
    run_effect(effect.pack(), context)
    assert commands(redis) - before < 20
    assert not names_jenny(redis, "evt_1")


def commands(redis: Redis) -> int:
    """How many commands the server has run so far, those inside of scripts among them."""
    return int(sum(one["calls"] for one in redis.info("commandstats").values()))


@pytest.mark.parametrize("error", [KeyError("broken"), StripeUnavailable("busy")])
def test_an_event_that_dies_or_is_deferred_after_the_purge_names_nobody(
    context: Context, redis: Redis, error: Exception
) -> None:
    redacted(context)
    for id, session in (("evt_a", "vs_1"), ("evt_b", "vs_2")):
        context.stores.events.enqueue(event_job(id, session=session, reference="jenny"))
    with patch("workers.jobs.apply_observations", side_effect=error):
        worker_of(redis, context).run_once()
    assert counts(context.stores.events)["queued"] == 0
    assert not names_jenny(redis, "evt_a")
    assert names_jenny(redis, "evt_b")


def test_an_event_that_kills_its_workers_after_the_purge_is_purged_by_the_clock(
    context: Context, redis: Redis
) -> None:
    redacted(context)
    context.stores.events.enqueue(event_job("evt_a", reference="jenny"))
    for _ in range(MAX_EXPIRIES):
        context.stores.events.claim("token", 60, 1)
        end_lease(redis, "evt_a")
        rescue(context.stores.events)
    Clock(context).run_once()
    assert counts(context.stores.events)["failed"] == 1
    assert not names_jenny(redis, "evt_a")


def test_a_ledger_that_does_not_answer_holds_up_no_job_that_has_failed(
    context: Context, redis: Redis
) -> None:
    context.stores.events.enqueue(event_job("evt_a", reference="jenny"))
    worker = worker_of(redis, context, lease=2)
    began = time.monotonic()
    with (
        patch("workers.jobs.apply_observations", side_effect=KeyError("broken")),
        patch.object(Redactions, "done", side_effect=lambda sessions: time.sleep(30)),
    ):
        worker.run_once()
    assert time.monotonic() - began < 2
    assert counts(context.stores.events)["failed"] == 1


def test_an_event_that_dies_while_the_ledger_is_away_is_purged_when_it_is_back(
    context: Context, redis: Redis
) -> None:
    redacted(context)
    away = LedgerUnavailable("away")
    context.stores.events.enqueue(event_job("evt_a", reference="jenny"))
    with (
        patch("workers.jobs.apply_observations", side_effect=KeyError("broken")),
        patch.object(Redactions, "done", side_effect=away),
    ):
        worker_of(redis, context).run_once()
        Clock(context).run_once()
    assert names_jenny(redis, "evt_a")
    Clock(context).run_once()
    assert not names_jenny(redis, "evt_a")


def test_the_clock_looks_at_each_letter_once_however_many_there_are(
    context: Context, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge_letters, "BATCH_SIZE", 3)
    process_event(payload("redacted", "verified", id="evt_r", redaction="redacted"), context)
    dead(context, *((f"evt_{n}", "vs_1" if n % 2 else "vs_2") for n in range(8)))
    found: list[int] = []
    while len(found) < 10 and sum(found) < 4:
        found.append(purge_new_letters(context.stores))
    assert sum(found) == 4
    assert [id for id in (f"evt_{n}" for n in range(8)) if names_jenny(redis, id)] == [
        *("evt_0", "evt_2", "evt_4", "evt_6")
    ]
    purge_new_letters(context.stores)
    with patch.object(Redactions, "done", side_effect=AssertionError):
        assert purge_new_letters(context.stores) == 0
