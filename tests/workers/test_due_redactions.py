"""REDACT_AFTER_DAYS: what is due by today's setting and by what is true today, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from redis import Redis

from app.domain.durations import DAY
from app.operations import due_redactions
from app.operations.due_redactions import enqueue_due_redactions
from app.operations.import_sessions import SessionImport
from tests.support.account import Account
from tests.support.places import counts
from tests.support.workers import apply_one, worker_of
from workers.clock import Clock
from workers.context import Context
from workers.periodic import periodic_tasks

DAYS = 30


def under(account: Account, days: int | None) -> Context:
    """The context of a process that was started under this setting."""
    context = account.context
    settings = replace(context.stores.settings, redact_after_days=days)
    return replace(context, stores=replace(context.stores, settings=settings))


def enqueue(account: Account, days: int | None = DAYS, limit: int = 100) -> int:
    """A round of a clock under this setting; how many it asked for."""
    context = under(account, days)
    return enqueue_due_redactions(context.stores, limit=limit, now=context.now())


def work(account: Account, days: int | None = DAYS) -> None:
    """Workers under this setting do all effects that are queued."""
    effects = account.context.stores.effects
    worker = worker_of(account.context.stores.redis, under(account, days), queue=effects)
    while counts(effects)["queued"]:
        worker.run_once()


def redaction(account: Account, session: str) -> Any:
    """What Stripe says of the session's redaction."""
    return account.sandbox.truth(session)["redaction"]


@pytest.fixture
def verified(account: Account) -> str:
    """A verified session that the ledger knows of, its days not over."""
    session = account.verified()
    apply_one(account.context, account.stripe.retrieve(session, ""))
    account.advance(DAY)
    return session


def test_a_session_is_redacted_when_its_days_are_over_and_not_before(
    account: Account, verified: str
) -> None:
    account.advance((DAYS - 2) * DAY)
    assert enqueue(account) == 0
    account.advance(DAY)
    assert enqueue(account) == 1
    work(account)
    assert redaction(account, verified) is not None
    standing = account.standing()
    assert standing is not None
    assert (standing.status, standing.redaction) == ("verified", redaction(account, verified))
    assert enqueue(account) == 0


def test_two_rounds_ask_for_a_session_once(account: Account, verified: str) -> None:
    account.advance(DAYS * DAY)
    assert [enqueue(account), enqueue(account)] == [1, 0]
    assert counts(account.context.stores.effects)["queued"] == 1


def test_a_round_asks_for_no_more_than_its_limit_and_the_next_goes_on(account: Account) -> None:
    for number in range(3):
        session = account.verified(f"user-{number}")
        apply_one(account.context, account.stripe.retrieve(session, ""))
    account.advance((DAYS + 1) * DAY)
    assert [enqueue(account, limit=2) for _ in range(3)] == [2, 1, 0]


def test_a_round_adds_nothing_to_a_long_queue(
    account: Account, verified: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.advance(DAYS * DAY)
    monkeypatch.setattr(due_redactions, "CROWDED", -1)
    assert enqueue(account) == 0


def test_nothing_waits_in_redis_or_the_outbox_for_its_days_to_pass(
    account: Account, verified: str
) -> None:
    assert not any(counts(account.context.stores.effects).values())
    assert account.context.stores.ledger.effects_due_unsent(2**40, 10) == []


def test_what_was_imported_is_redacted_in_its_time(account: Account) -> None:
    session = account.verified()
    account.advance(DAY)
    run = SessionImport(
        account.stripe, account.context.stores, livemode=False, now=account.context.now
    )
    assert list(run.steps())
    account.advance((DAYS + 1) * DAY)
    assert enqueue(account) >= 1
    work(account)
    assert redaction(account, session) is not None


def test_a_ledger_that_was_lost_and_imported_again_redacts_what_the_first_would_have(
    account: Account, verified: str
) -> None:
    account.wipe_ledger()
    apply_one(account.context, account.stripe.retrieve(verified, ""))
    account.advance((DAYS + 1) * DAY)
    assert enqueue(account) == 1
    work(account)
    assert redaction(account, verified) is not None


def test_a_setting_that_was_switched_off_redacts_nothing_that_it_had_asked_for(
    account: Account, verified: str
) -> None:
    account.advance(DAYS * DAY)
    assert enqueue(account) == 1
    assert enqueue(account, None) == 0
    work(account, None)
    assert redaction(account, verified) is None
    account.advance(60)
    assert enqueue(account) == 1, "switched on again"
    work(account)
    assert redaction(account, verified) is not None


def test_a_setting_that_was_made_longer_holds_for_what_was_asked_for(
    account: Account, verified: str
) -> None:
    account.advance(DAYS * DAY)
    assert enqueue(account) == 1
    work(account, 2 * DAYS)
    assert redaction(account, verified) is None
    assert enqueue(account, 2 * DAYS) == 0
    account.advance(DAYS * DAY)
    assert enqueue(account, 2 * DAYS) == 1


def test_a_session_that_a_reviewer_has_reopened_is_let_be(account: Account, verified: str) -> None:
    account.advance(DAYS * DAY)
    review = {"status": "requires_input", "last_error": "selfie_manipulated"}
    account.sandbox.control("POST", f"/sessions/{verified}/review", review)
    assert enqueue(account) == 1, "no webhook has come"
    work(account)
    assert redaction(account, verified) is None
    assert account.status() == "requires_input"


def test_a_person_who_is_in_the_middle_of_another_try_is_let_be(account: Account) -> None:
    session = account.open()
    account.sandbox.submit(session, "document_expired")
    apply_one(account.context, account.stripe.retrieve(session, ""))
    account.advance((DAYS + 1) * DAY)
    assert enqueue(account) == 1
    account.sandbox.submit(session, "verified", delay=3600)
    work(account)
    assert redaction(account, session) is None
    assert account.status() == "processing"
    assert counts(account.context.stores.effects)["scheduled"] == 1, "the recheck alone"


@pytest.mark.parametrize("canceled", [False, True])
def test_what_failed_holds_documents_and_is_redacted(account: Account, canceled: bool) -> None:
    session = account.open()
    account.sandbox.submit(session, "document_expired")
    if canceled:
        account.sandbox.client().v1.identity.verification_sessions.cancel(session)
    apply_one(account.context, account.stripe.retrieve(session, ""))
    account.advance((DAYS + 1) * DAY)
    assert enqueue(account) == 1
    work(account)
    assert redaction(account, session) is not None


@pytest.mark.parametrize("canceled", [False, True])
def test_what_nobody_has_submitted_to_is_let_be(account: Account, canceled: bool) -> None:
    session = account.open()
    if canceled:
        account.sandbox.client().v1.identity.verification_sessions.cancel(session)
    apply_one(account.context, account.stripe.retrieve(session, ""))
    account.advance((DAYS + 1) * DAY)
    assert enqueue(account) == 0


def test_the_clock_asks_for_what_is_due(account: Account, redis: Redis, verified: str) -> None:
    account.advance(DAYS * DAY)
    clock = Clock(under(account, DAYS))
    clock.run_once()
    assert all(task.join(20) for task in clock._tasks)
    effects = account.context.stores.effects.claim("token", 60, 100)
    assert [job.id for job in effects if job.id.endswith("redact_due")]


@pytest.mark.parametrize(("days", "named"), [(DAYS, True), (None, False)])
def test_the_task_exists_where_the_setting_is_on(
    account: Account, days: int | None, named: bool
) -> None:
    names = {task._name for task in periodic_tasks(under(account, days))}
    assert ("redactions" in names) is named
