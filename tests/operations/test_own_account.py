"""The ledger's Stripe account: what asks Stripe refuses the key of another one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from starlette.datastructures import Secret
from structlog.testing import capture_logs

from app.configuration.settings import Settings
from app.domain.effects import REDACT, REDACT_DUE, PendingEffect, Recheck
from app.domain.errors import OtherAccount
from app.domain.snapshot import SessionKey
from app.operations.backfill import Backfill
from app.operations.due_redactions import enqueue_due_redactions
from app.operations.import_sessions import SessionImport
from app.operations.own_account import known_account
from app.operations.sweep import ask_stripe, sweep
from app.stripe.client import StripeApi, open_stripe
from app.stripe.errors import SessionMissing
from tests.support.account import DAY, KEY, Account
from tests.support.ledger import observation
from tests.support.workers import apply_one, with_stores
from workers.clock import Clock
from workers.context import Context
from workers.effects import EFFECT_RUNNERS

OTHER_KEY = "sk_test_acct_other_1"


def stripe_of(account: Account, key: str) -> StripeApi:
    found = open_stripe(Settings(stripe_api_key=Secret(key), stripe_api_base=account.sandbox.url))
    assert found is not None
    return found


def with_other_key(account: Account) -> Context:
    """The same stores, with the key of another account."""
    return with_stores(account.context, stripe=stripe_of(account, OTHER_KEY))


def due_session(account: Account) -> str:
    """A session that a round of the sweep has already asked about; it is due again."""
    session = account.open()
    apply_one(account.context, account.stripe.retrieve(session, ""))
    account.advance(DAY + 60)
    assert list(sweep(account.context.stores, limit=9, now=account.stripe_now))
    account.advance(DAY + 60)
    return session


def run_backfill(context: Context) -> None:
    stripe = context.stores.require_stripe()
    list(Backfill(stripe, context.stores, now=context.now).steps())


def run_import(context: Context) -> None:
    stripe, stores = context.stores.require_stripe(), context.stores
    list(SessionImport(stripe, stores, livemode=False, now=context.now).steps())


def run_sweep(context: Context) -> None:
    list(sweep(context.stores, limit=9, now=context.now))


def run_redactions(context: Context) -> None:
    settings = replace(context.stores.settings, redact_after_days=1)
    stores = replace(context.stores, settings=settings)
    enqueue_due_redactions(stores, limit=9, now=context.now())


ROUNDS = [run_backfill, run_import, run_sweep, run_redactions]


@pytest.mark.parametrize("run", ROUNDS)
def test_the_first_round_of_a_ledger_remembers_whose_key_it_had(
    account: Account, run: Callable[[Context], None]
) -> None:
    run(account.context)
    cursors = account.context.stores.ledger.cursors
    assert known_account(cursors, False) == account.stripe.own_account()
    assert known_account(cursors, True) is None


@pytest.mark.parametrize("run", ROUNDS)
def test_a_key_of_another_account_is_refused_and_both_are_named(
    account: Account, run: Callable[[Context], None]
) -> None:
    due_session(account)
    with pytest.raises(OtherAccount) as refusal:
        run(with_other_key(account))
    told = str(refusal.value)
    assert "\n" not in told
    for part in ("acct_other", account.stripe.own_account(), "set a key of", "--new-account"):
        assert part in told


def test_another_accounts_key_marks_no_session_as_missing(account: Account) -> None:
    session = due_session(account)
    other = with_other_key(account)
    with pytest.raises(OtherAccount):
        ask_stripe(SessionKey(session, "", False), other.stores, other.now())
    effect = PendingEffect.on_session(
        Recheck.kind, SessionKey(session, "", False), occasion="test", now=1
    )
    with pytest.raises(OtherAccount):
        EFFECT_RUNNERS[effect.kind](effect, other)
    record = account.context.stores.ledger.read_reference("user-1", livemode=False)
    assert record is not None
    assert record.missing == frozenset()


@pytest.mark.parametrize("kind", [REDACT, REDACT_DUE])
def test_a_redaction_waits_for_a_key_that_knows_its_session(account: Account, kind: str) -> None:
    """Only if the ledger's own account does not know it, a person has to look at it."""
    session = account.verified()
    run_sweep(account.context)
    for known in (session, "vs_elsewhere"):
        apply_one(account.context, observation("verified", 100, session=known))
    settings = replace(account.context.stores.settings, redact_after_days=1)
    effect = PendingEffect.on_session(kind, SessionKey(session, "", False), occasion="x", now=1)
    own, other = (
        replace(context, stores=replace(context.stores, settings=settings))
        for context in (account.context, with_other_key(account))
    )
    with pytest.raises(OtherAccount):
        EFFECT_RUNNERS[kind](effect, other)
    lost = replace(effect, session_id="vs_elsewhere")
    with pytest.raises(SessionMissing):
        EFFECT_RUNNERS[kind](lost, own)


def test_the_clock_says_it_as_an_error_and_goes_on(account: Account) -> None:
    due_session(account)
    clock = Clock(with_other_key(account))
    with capture_logs() as logs:
        clock.run_once()
        assert all(task.join(20) for task in clock._tasks)
    refused = [line for line in logs if line["event"] == "periodic task refused"]
    assert {line["step"] for line in refused} == {"backfill", "sweep"}
    assert all(line["log_level"] == "error" for line in refused)


def test_a_restricted_key_tells_its_account_by_being_refused(account: Account) -> None:
    restricted = stripe_of(account, "rk_test_acct_other_1")
    assert restricted.own_account() == "acct_other"


def test_a_key_that_does_not_tell_its_account_is_taken(account: Account) -> None:
    account.sandbox.control("POST", "/faults", {"path": "/v1/account", "status": 403})
    run_backfill(account.context)
    assert known_account(account.context.stores.ledger.cursors, False) is None


def test_whose_key_it_is_is_asked_once_for_many_rounds(account: Account) -> None:
    fault: dict[str, Any] = {"path": "/v1/account", "status": 500}
    run_backfill(account.context)
    account.sandbox.control("POST", "/faults", fault)
    run_sweep(account.context)
    run_backfill(account.context)
    account.sandbox.control("DELETE", "/faults")


def test_the_accounts_of_test_and_live_mode_are_two(account: Account) -> None:
    run_backfill(account.context)
    live = stripe_of(account, "sk_live_acct_other_1")
    list(
        SessionImport(live, account.context.stores, livemode=True, now=account.context.now).steps()
    )
    cursors = account.context.stores.ledger.cursors
    assert known_account(cursors, True) == "acct_other"
    assert known_account(cursors, False) == stripe_of(account, KEY).own_account()
