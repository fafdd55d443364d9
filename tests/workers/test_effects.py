"""Each effect, against a local Stripe in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import Engine, text

from app.domain.effects import EffectRow
from app.domain.event import SessionEvent
from app.domain.reference import Standing
from app.queue.dead_letters import DeadLetters
from app.queue.jobs import JobQueue
from app.queue.model import EFFECTS, EVENTS
from app.stripe_api import StripeApi, StripeUnavailable
from tests.queue.places import end_lease
from tests.sandbox.processes import Sandbox, eventually, running
from tests.workers.building import event_job, payload, worker_of
from workers.jobs import Context, effect_job, process_event, run_effect

KEY = "sk_test_123"


@pytest.fixture(scope="module")
def process() -> Iterator[Sandbox]:
    with running("--seed", "5") as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(process: Sandbox) -> Iterator[Sandbox]:
    yield process
    process.control("DELETE", "/faults")


@pytest.fixture
def asking(context: Context, sandbox: Sandbox) -> Context:
    """The context with Stripe in it."""
    return replace(context, stripe=StripeApi(KEY, sandbox.url))


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


def asked(context: Context, engine: Engine, kind: str, session: str, **fields: Any) -> EffectRow:
    """An effect of this kind in the ledger, that nobody has done yet."""
    row = EffectRow(f"{session}-{kind}", kind, "", False, session, "user-1", 1, int(context.now()))
    row = replace(row, **fields)
    columns = (
        "id, kind, account, livemode, session_id, reference, version, due, status, created_at,"
        " updated_at"
    )
    values = ":id, :kind, :account, :livemode, :session_id, :reference, :version, :due"
    with engine.begin() as connection:
        connection.execute(
            text(f"INSERT INTO effects ({columns}) VALUES ({values}, 'pending', 0, 0)"),
            row.to_dict(),
        )
    return row


def standing(context: Context, reference: str = "user-1") -> Standing | None:
    record = context.ledger.read_reference(reference, livemode=False)
    return None if record is None else record.standing


# --- check_back -----------------------------------------------------------------------------


def test_a_check_back_brings_the_ledger_what_stripe_says(
    asking: Context, engine: Engine, sandbox: Sandbox
) -> None:
    session = opened(sandbox)
    process_event(payload(session=session), asking)
    sandbox.submit(session, "verified")
    eventually(lambda: sandbox.truth(session)["status"] == "verified")
    row = asked(asking, engine, "check_back", session)
    run_effect(row.to_dict(), asking)
    found = standing(asking)
    assert found is not None
    assert (found.status, found.session_id) == ("verified", session)
    assert asking.ledger.effect_status(row.id) == "done"


def test_a_check_back_that_stripe_cannot_answer_is_left_to_be_done(
    asking: Context, engine: Engine, sandbox: Sandbox
) -> None:
    row = asked(asking, engine, "check_back", opened(sandbox))
    sandbox.control("POST", "/faults", {"status": 503})
    with pytest.raises(StripeUnavailable):
        run_effect(row.to_dict(), asking)
    assert asking.ledger.effect_status(row.id) == "pending"
    run_effect(row.to_dict(), asking)
    assert asking.ledger.effect_status(row.id) == "done"


def test_a_check_back_marks_a_session_that_stripe_does_not_know(
    asking: Context, engine: Engine
) -> None:
    asking.apply(SessionEvent.from_dict(payload()).observation())
    row = asked(asking, engine, "check_back", "vs_1")
    run_effect(row.to_dict(), asking)
    assert asking.ledger.effect_status(row.id) == "dropped"
    record = asking.ledger.read_reference("user-1", livemode=False)
    assert record is not None
    assert record.missing == {"vs_1"}


# --- cancel ---------------------------------------------------------------------------------


def test_a_cancel_closes_the_session_at_stripe_and_in_the_ledger(
    asking: Context, engine: Engine, sandbox: Sandbox
) -> None:
    session = failed(sandbox)
    run_effect(asked(asking, engine, "cancel", session).to_dict(), asking)
    assert sandbox.truth(session)["status"] == "canceled"
    found = standing(asking)
    assert found is not None
    assert found.status == "canceled"


def test_a_cancel_lets_a_session_be_whose_person_has_gone_on(
    asking: Context, engine: Engine, sandbox: Sandbox
) -> None:
    session = failed(sandbox)
    sandbox.submit(session, "verified")
    eventually(lambda: sandbox.truth(session)["status"] == "verified")
    row = asked(asking, engine, "cancel", session)
    run_effect(row.to_dict(), asking)
    assert sandbox.truth(session)["status"] == "verified"
    assert asking.ledger.effect_status(row.id) == "done"


def test_a_cancel_whose_answer_was_lost_is_done_at_the_next_try(
    asking: Context, engine: Engine, sandbox: Sandbox
) -> None:
    session = failed(sandbox)
    row = asked(asking, engine, "cancel", session)
    sandbox.control("POST", "/faults", {"method": "POST", "hang_up": "after"})
    with pytest.raises(StripeUnavailable):
        run_effect(row.to_dict(), asking)
    run_effect(row.to_dict(), asking)
    assert sandbox.truth(session)["status"] == "canceled"
    assert asking.ledger.effect_status(row.id) == "done"


@pytest.mark.parametrize("kind", ["cancel", "redact"])
def test_an_effect_gets_over_an_error_that_stripe_keeps_for_its_idempotency_key(
    asking: Context, engine: Engine, sandbox: Sandbox, kind: str
) -> None:
    session = failed(sandbox)
    row = asked(asking, engine, kind, session)
    sandbox.control("POST", "/faults", {"method": "POST", "status": 500})
    with pytest.raises(StripeUnavailable):
        run_effect(row.to_dict(), asking)
    run_effect(row.to_dict(), asking)
    assert asking.ledger.effect_status(row.id) == "done"


# --- redact ---------------------------------------------------------------------------------


def test_a_redact_has_stripe_remove_the_person(
    asking: Context, engine: Engine, sandbox: Sandbox
) -> None:
    session = failed(sandbox)
    row = asked(asking, engine, "redact", session)
    run_effect(row.to_dict(), asking)
    assert sandbox.truth(session)["redaction"] in ("validated", "processing")
    found = standing(asking)
    assert found is not None
    assert found.redaction == sandbox.truth(session)["redaction"]
    assert asking.ledger.effect_status(row.id) == "done"


def test_a_redact_waits_while_the_session_is_processing(
    asking: Context, engine: Engine, sandbox: Sandbox
) -> None:
    session = opened(sandbox)
    sandbox.submit(session, "verified", delay=3600)
    row = asked(asking, engine, "redact", session)
    with pytest.raises(StripeUnavailable):
        run_effect(row.to_dict(), asking)
    assert sandbox.truth(session)["redaction"] is None
    assert asking.ledger.effect_status(row.id) == "pending"


def test_a_redact_does_not_ask_again_for_what_is_under_way(
    asking: Context, engine: Engine, sandbox: Sandbox
) -> None:
    session = failed(sandbox)
    sandbox.client(KEY).v1.identity.verification_sessions.redact(session)
    row = asked(asking, engine, "redact", session)
    sandbox.control("POST", "/faults", {"method": "POST", "status": 500})
    run_effect(row.to_dict(), asking)
    assert asking.ledger.effect_status(row.id) == "done"


# --- all that ask Stripe --------------------------------------------------------------------

ASKING = pytest.mark.parametrize("kind", ["check_back", "cancel", "redact"])


@ASKING
def test_an_effect_of_the_other_mode_is_dropped(
    asking: Context, engine: Engine, sandbox: Sandbox, kind: str
) -> None:
    session = failed(sandbox)
    before = sandbox.truth(session)
    row = asked(asking, engine, kind, session, livemode=True)
    run_effect(row.to_dict(), asking)
    assert asking.ledger.effect_status(row.id) == "dropped"
    assert sandbox.truth(session) == before


@ASKING
def test_an_effect_without_a_key_to_ask_with_is_dropped(
    context: Context, engine: Engine, kind: str
) -> None:
    row = asked(context, engine, kind, "vs_1")
    run_effect(row.to_dict(), context)
    assert context.ledger.effect_status(row.id) == "dropped"


@ASKING
@pytest.mark.parametrize("status", ["done", "dropped"])
def test_what_is_done_is_not_done_again(
    asking: Context, engine: Engine, sandbox: Sandbox, kind: str, status: Any
) -> None:
    row = asked(asking, engine, kind, "vs_nobody_may_ask_for")
    asking.ledger.mark_effect(row.id, status, 1)
    run_effect(row.to_dict(), asking)
    assert asking.ledger.effect_status(row.id) == status


def test_an_effect_that_stripe_limits_is_done_by_the_worker_when_it_comes_again(
    asking: Context, engine: Engine, sandbox: Sandbox, redis: Redis
) -> None:
    session = opened(sandbox)
    row = asked(asking, engine, "check_back", session)
    asking.effects.accept(effect_job(row, asking.now()))
    sandbox.control("POST", "/faults", {"status": 429, "retry_after": 1})
    worker = worker_of(redis, asking, queue=JobQueue(redis, EFFECTS))
    worker.run_once()
    assert asking.effects.counts()["scheduled"] == 1
    redis.zadd("rq:scheduled:effects", {row.id: 1})
    assert asking.effects.release().due == 1
    worker.run_once()
    assert asking.ledger.effect_status(row.id) == "done"
    assert not any(asking.effects.counts().values())


def test_an_effect_whose_worker_died_before_it_settled_asks_stripe_once(
    asking: Context, engine: Engine, sandbox: Sandbox
) -> None:
    session = failed(sandbox)
    row = asked(asking, engine, "cancel", session)
    asking.effects.accept(effect_job(row, asking.now()))
    asking.effects.claim("token", 60, 1)
    run_effect(row.to_dict(), asking)
    before = list(sandbox.client(KEY).v1.events.list().data)
    run_effect(row.to_dict(), asking)
    assert list(sandbox.client(KEY).v1.events.list().data) == before


# --- purge ----------------------------------------------------------------------------------


def dead(context: Context, *ids_and_sessions: tuple[str, str]) -> None:
    """Dead letters of these ids, of these sessions."""
    context.events.accept_all(
        [event_job(id, session=session, reference="jenny") for id, session in ids_and_sessions]
    )
    for job in context.events.claim("token", 60, 100):
        context.events.bury(job, "permanent_error", "Broken", "it broke")


def test_a_purge_takes_the_reference_out_of_the_sessions_dead_letters_alone(
    context: Context, engine: Engine, redis: Redis
) -> None:
    dead(context, ("evt_a", "vs_1"), ("evt_b", "vs_2"), ("evt_c", "vs_1"))
    before = {letter.id: letter for letter in DeadLetters(redis, EVENTS)}
    row = asked(context, engine, "purge", "vs_1")
    run_effect(row.to_dict(), context)
    after = {letter.id: letter for letter in DeadLetters(redis, EVENTS)}
    assert {id: letter.payload["reference"] for id, letter in after.items()} == {
        "evt_a": None,
        "evt_b": "jenny",
        "evt_c": None,
    }
    assert b"jenny" not in redis.hget("rq:job:evt_a", "data")
    assert after["evt_b"] == before["evt_b"]
    for id in ("evt_a", "evt_c"):
        purged = {**before[id].payload, "reference": None, "reference_source": 0}
        assert after[id] == replace(before[id], payload=purged)
    assert context.ledger.effect_status(row.id) == "done"


def test_a_purged_dead_letter_can_be_replayed_and_finds_its_user_in_the_ledger(
    context: Context, engine: Engine, redis: Redis
) -> None:
    process_event(payload(id="evt_0", reference="jenny"), context)
    context.events.accept(event_job("evt_1", "verified", "verified", reference="jenny"))
    (job,) = context.events.claim("token", 60, 1)
    context.events.bury(job, "permanent_error", "Broken", "it broke")
    run_effect(asked(context, engine, "purge", "vs_1").to_dict(), context)
    assert context.events.replay(["evt_1"]) == 1
    worker_of(redis, context).run_once()
    found = standing(context, "jenny")
    assert found is not None
    assert found.status == "verified"


def test_a_purge_leaves_what_is_still_under_way(
    context: Context, engine: Engine, redis: Redis
) -> None:
    context.events.accept(event_job("evt_a"))
    context.events.claim("token", 60, 1)
    run_effect(asked(context, engine, "purge", "vs_1").to_dict(), context)
    end_lease(redis, "evt_a")
    context.events.release()
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
