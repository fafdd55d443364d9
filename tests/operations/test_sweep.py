"""Sweep: Stripe is asked about sessions that have had no event for too long."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from app.domain.event import SessionEvent
from app.ledger.polling import ASK_UNANSWERED_AFTER
from app.operations.show_reference import as_json
from app.operations.sweep import enqueue_rechecks, sweep
from app.queue.model import effect_job
from app.stripe.errors import StripeRefused, StripeUnavailable
from tests.support.account import DAY, Account
from tests.support.events import event_body
from tests.support.places import counts
from tests.support.workers import apply_one, worker_of


def run(account: Account, limit: int = 100) -> list[str]:
    """The sessions that were asked about, in their order."""
    done = sweep(account.context.stores, limit=limit, now=account.stripe_now)
    return [key.id for key in done]


def catch_up(account: Account, later: float = DAY) -> None:
    """All events so far are in the ledger, and none has come for this long."""
    account.advance(120)
    list(account.backfill().steps())
    account.work()
    account.advance(later)


def apply(account: Account, session: str, *names: str, **fields: Any) -> None:
    """An event of a session that Stripe does not know."""
    fields.setdefault("at", int(account.stripe_now()))
    event = SessionEvent.parse(event_body(*names, id=f"evt_{session}", session=session, **fields))
    assert event is not None
    apply_one(account.context, event.observation())


def test_a_session_that_was_processing_for_too_long_comes_to_stand_as_stripe_says(
    account: Account,
) -> None:
    session = account.open()
    account.sandbox.submit(session, "verified", delay=600)
    catch_up(account, later=0)
    assert account.status() == "processing"
    assert run(account) == []
    account.advance(20 * 60)
    assert run(account) == [session]
    assert account.status() == "verified"


def test_an_abandoned_session_is_asked_about_ever_more_rarely(account: Account) -> None:
    session = account.open()
    catch_up(account, later=0)
    asked = []
    for day in range(1, 41):
        assert run(account) == []
        account.advance(DAY)
        if run(account) == [session]:
            asked.append(day)
    assert asked == [1, 2, 4, 8, 16]


def test_a_session_under_redaction_is_asked_about_until_it_is_redacted(account: Account) -> None:
    session = account.verified()
    catch_up(account)
    account.side.redact(session)
    apply_one(account.context, account.stripe.retrieve(session, ""))
    account.advance(3600)
    assert run(account) == [session]
    assert run(account) == []
    account.advance(4 * DAY)
    assert run(account) == [session]
    standing = account.standing()
    assert standing is not None
    assert standing.redaction == "redacted"
    account.advance(DAY)
    assert run(account) == []


def test_a_session_that_stripe_does_not_know_is_marked_and_asked_about_ever_more_rarely(
    account: Account,
) -> None:
    apply(account, "vs_unknown")
    known = account.open()
    catch_up(account)
    assert sorted(run(account)) == sorted(["vs_unknown", known])
    record = account.context.stores.ledger.read_reference("user-1", livemode=False)
    assert record is not None
    assert record.missing == {"vs_unknown"}
    shown = {session["id"]: session["missing"] for session in as_json(record)["sessions"]}
    assert shown == {"vs_unknown": True, known: False}
    account.advance(DAY + 60)
    assert sorted(run(account)) == sorted([known, "vs_unknown"])
    account.advance(DAY + 60)
    assert run(account) == []
    account.advance(DAY + 60)
    assert sorted(run(account)) == sorted([known, "vs_unknown"])


def test_a_session_that_somebody_waits_for_comes_before_those_that_are_merely_open(
    account: Account,
) -> None:
    open_sessions = [account.open(f"user-{number}") for number in range(3)]
    waiting = account.open("in a hurry")
    account.sandbox.submit(waiting, "verified", delay=3 * DAY)
    catch_up(account)
    assert run(account, limit=2)[0] == waiting
    account.advance(DAY)
    assert run(account, limit=1) == [waiting]
    assert set(run(account)) == set(open_sessions)


def test_no_more_are_asked_about_at_once_than_wanted(account: Account) -> None:
    sessions = [account.open(f"user-{number}") for number in range(25)]
    catch_up(account)
    first, second = run(account, limit=22), run(account, limit=22)
    assert (len(first), len(second)) == (22, 3)
    assert sorted(first + second) == sorted(sessions)


def test_one_session_that_stripe_refuses_does_not_hold_up_the_others(account: Account) -> None:
    sessions = [account.open(f"user-{number}") for number in range(3)]
    catch_up(account)
    account.sandbox.control("POST", "/faults", {"path": "/v1/identity", "status": 403})
    assert sorted(run(account)) == sorted(sessions)


def test_a_key_that_is_not_taken_ends_the_sweep(account: Account) -> None:
    account.open()
    catch_up(account)
    account.sandbox.control("POST", "/faults", {"path": "/v1/identity", "status": 401})
    with pytest.raises(StripeRefused):
        run(account)
    assert len(run(account)) == 1


def test_a_stripe_that_is_away_ends_the_sweep_and_the_rest_stays_due(account: Account) -> None:
    sessions = {account.open(f"user-{number}") for number in range(4)}
    catch_up(account)
    away = {"path": "/v1/identity", "status": 429, "times": 3}
    account.sandbox.control("POST", "/faults", away)
    with pytest.raises(StripeUnavailable):
        run(account)
    rest = run(account)
    assert len(rest) == 1
    account.advance(ASK_UNANSWERED_AFTER)
    assert set(run(account)) == sessions - set(rest)


def test_one_session_that_stripe_cannot_answer_does_not_hold_up_the_others(
    account: Account,
) -> None:
    broken, *others = (account.open(f"user-{number}") for number in range(6))
    catch_up(account)
    path = f"/v1/identity/verification_sessions/{broken}"
    account.sandbox.control("POST", "/faults", {"path": path, "status": 500, "times": 2})
    assert sorted(run(account)) == sorted([broken, *others])
    account.advance(ASK_UNANSWERED_AFTER)
    assert run(account) == [broken]
    account.advance(ASK_UNANSWERED_AFTER)
    assert run(account) == [broken]
    account.advance(ASK_UNANSWERED_AFTER)
    assert run(account) == []  # it has been answered, and is asked about daily again


def test_failures_between_answers_do_not_end_the_sweep(account: Account) -> None:
    sessions = [account.open(f"user-{number}") for number in range(6)]
    catch_up(account)
    for fault in ({"status": 500, "times": 2}, {"delay": 0.01}, {"status": 500, "times": 2}):
        account.sandbox.control("POST", "/faults", {"path": "/v1/identity", **fault})
    assert sorted(run(account)) == sorted(sessions)


def test_a_session_that_stripe_did_not_know_is_not_known_for_lack_of_an_answer(
    account: Account,
) -> None:
    apply(account, "vs_unknown")
    catch_up(account)
    run(account)
    account.advance(DAY + 60)
    account.sandbox.control("POST", "/faults", {"path": "/v1/identity", "status": 500})
    assert run(account) == ["vs_unknown"]
    record = account.context.stores.ledger.read_reference("user-1", livemode=False)
    assert record is not None
    assert record.missing == {"vs_unknown"}
    account.advance(ASK_UNANSWERED_AFTER)
    assert run(account) == ["vs_unknown"]


def test_redactions_that_take_stripe_too_long_are_one_error_in_the_log(account: Account) -> None:
    for number in range(2):
        apply(account, f"vs_{number}", "verified", "verified", redaction="processing")
    with capture_logs() as logs:
        run(account)
    assert not [line for line in logs if line["log_level"] == "error"]
    account.advance(4 * DAY + 60)
    with capture_logs() as logs:
        run(account)
    (alarm,) = [line for line in logs if line["log_level"] == "error"]
    assert alarm["session_count"] == 2


def test_what_a_sweep_finds_has_the_effects_of_any_other_change(account: Account) -> None:
    session = account.open()
    catch_up(account)
    account.sandbox.submit(session, "verified", delay=DAY)
    run(account)
    assert counts(account.context.stores.effects)["scheduled"] == 1


def test_all_that_is_due_can_be_asked_about_by_the_effects_workers(account: Account) -> None:
    sessions = [account.open(f"user-{number}") for number in range(5)]
    apply(account, "vs_unknown", reference="user-9")
    catch_up(account)
    for session in sessions[:2]:
        account.sandbox.submit(session, "verified")
    now = int(account.stripe_now())
    ledger, effects = account.context.stores.ledger, account.context.stores.effects
    batches = list(enqueue_rechecks(ledger, livemode=False, now=now, batch_size=4))
    assert [len(batch) for batch in batches] == [4, 2]
    assert list(enqueue_rechecks(ledger, livemode=False, now=now)) == []
    effects.enqueue_all([effect_job(row, now) for batch in batches for row in batch])
    worker = worker_of(effects.connection, account.context, queue=effects)
    while counts(effects)["queued"]:
        worker.run_once()
    assert counts(effects)["failed"] == 0
    statuses = [account.status(f"user-{number}") for number in range(5)]
    assert statuses == ["verified"] * 2 + ["requires_input"] * 3
    record = ledger.read_reference("user-9", livemode=False)
    assert record is not None
    assert record.missing == {"vs_unknown"}
