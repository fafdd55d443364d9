"""Import: every session of an account comes into the ledger, and nobody is notified of old news."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.domain.standing import ReferenceKey
from app.operations import import_sessions as module
from app.operations.import_sessions import ImportProgress, SessionImport
from app.stripe.answers import Page
from app.stripe.client import StripeApi
from app.stripe.errors import StripeUnavailable
from app.stripe.retrying import PAUSES, RetryingStripe
from tests.support.account import KEY, Account, Lists


def session_import(account: Account, stripe: Any = None, **options: Any) -> SessionImport:
    return SessionImport(
        stripe or account.stripe,
        account.context.stores,
        livemode=False,
        now=account.context.now,
        **options,
    )


def run(account: Account, stripe: Any = None, restart: bool = False) -> ImportProgress:
    *_, last = session_import(account, stripe).steps(restart)
    return last


def test_every_session_comes_in_page_by_page(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE_SIZE", 2)
    verified = account.verified("user-1")
    failed = account.open("user-2")
    account.sandbox.submit(failed, "document_expired")
    account.side.cancel(account.open("user-3"))
    account.open("user-4")
    account.open(reference=None)
    steps = list(session_import(account).steps())
    assert [step.sessions for step in steps[:2]] == [2, 4]
    assert steps[-1].sessions == account.sessions()
    standings = {n: account.standing(f"user-{n}") for n in range(1, 5)}
    assert [s and s.status for s in standings.values()] == [
        "verified",
        "requires_input",
        "canceled",
        "requires_input",
    ]
    first, second = standings[1], standings[2]
    assert first is not None
    assert first.session_id == verified
    assert second is not None
    assert second.next_step == "use_another_document"
    assert account.context.stores.ledger.orphans.list(False, 10)


def test_an_import_dates_a_verification_and_a_failure_by_their_reports(account: Account) -> None:
    verified_at = int(account.stripe_now())
    account.verified("user-1")
    failed = account.open("user-2")
    account.sandbox.submit(failed, "document_expired")
    account.advance(86_400)
    run(account)
    first = account.standing("user-1")
    assert first is not None
    assert first.verified_at is not None
    assert abs(first.verified_at - verified_at) < 60
    assert first.since == first.verified_at


def test_an_import_asks_by_the_teams_key_whatever_key_verified_data_needs(account: Account) -> None:
    account.verified("user-1")
    other = StripeApi(KEY, account.sandbox.url, restricted_key="sk_test_acct_other_1")
    run(account, other)
    assert account.status("user-1") == "verified"


def test_an_account_without_sessions_is_imported_at_once(account: Account) -> None:
    live = StripeApi("sk_live_123", account.sandbox.url)
    assert run(account, live) == ImportProgress(resumed=False)


def test_an_import_causes_no_effects(account: Account) -> None:
    session = account.open("user-1")
    account.sandbox.submit(session, "verified", delay=3600)
    account.verified("user-2")
    run(account)
    assert account.context.stores.ledger.effects_due_unsent(2**40, 10) == []


def test_after_a_loss_an_import_notifies_of_what_it_changes_and_asks_for_nothing_else(
    account: Account,
) -> None:
    session = account.open("lost-1")
    account.sandbox.submit(session, "verified", delay=3600)
    account.verified("lost-2")
    for _ in range(2):  # the second changes nothing
        list(session_import(account, notify=True).steps())
    effects = account.context.stores.ledger.effects_due_unsent(2**40, 1_000)
    assert {effect.kind for effect in effects} == {"notify"}
    told = [effect.reference_key for effect in effects]
    assert [told.count(ReferenceKey("", False, f"lost-{n}").digest) for n in (1, 2)] == [1, 1]


def test_what_was_just_imported_is_not_asked_about_at_once(account: Account) -> None:
    session = account.open()
    run(account)
    now = int(account.stripe_now())
    assert account.context.stores.ledger.polling.sessions_to_check(False, now + 60, 10) == []
    due = account.context.stores.ledger.polling.sessions_to_check(False, now + 90_000, 100)
    assert session in {key.id for key in due}


def test_an_import_that_was_interrupted_continues_where_it_was(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE_SIZE", 2)
    for number in range(5):
        account.open(f"user-{number}")
    next(session_import(account).steps())
    found = run(account)
    assert (found.resumed, found.sessions) == (True, account.sessions() - 2)
    again = run(account)
    assert (again.resumed, again.sessions) == (False, account.sessions())


def test_an_import_can_be_begun_anew(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE_SIZE", 2)
    for number in range(3):
        account.open(f"user-{number}")
    next(session_import(account).steps())
    assert run(account, restart=True).sessions == account.sessions()


def test_if_another_accounts_import_was_interrupted_it_begins_anew(account: Account) -> None:
    account.open()
    account.context.stores.ledger.cursors.set("import_test", "vs_of_another", 1)
    found = run(account)
    assert (found.resumed, found.sessions) == (False, account.sessions())


def test_an_import_changes_nothing_that_is_known_better_from_events(account: Account) -> None:
    account.verified("known")
    account.advance(120)
    list(account.backfill().steps())
    account.work()
    before = account.standing("known")
    account.advance(3600)
    run(account)
    assert account.standing("known") == before


def test_an_import_waits_if_stripe_limits_us(account: Account) -> None:
    account.open()
    slept: list[float] = []
    told: list[str] = []
    fault = {"path": "/v1/identity", "status": 429, "times": 3}
    account.sandbox.control("POST", "/faults", fault)
    stripe = RetryingStripe(account.stripe, told.append, slept.append)
    assert run(account, stripe).sessions == account.sessions()
    assert (slept, len(told)) == ([1, 2, 4], 3)


def test_an_import_that_stripe_fails_for_too_long_ends_and_can_go_on(account: Account) -> None:
    account.open()
    fault = {"path": "/v1/identity", "hang_up": True, "times": len(PAUSES) + 1}
    account.sandbox.control("POST", "/faults", fault)
    with pytest.raises(StripeUnavailable):
        run(account, RetryingStripe(account.stripe, sleep=lambda seconds: None))
    assert run(account).sessions == account.sessions()


def test_a_session_that_cannot_be_read_is_left_out_and_reported(account: Account) -> None:
    account.open("user-1")
    odd = account.open("user-2")

    class Odd(Lists):
        def list_sessions(self, params: dict[str, Any], account: str = "") -> Any:
            page: Page = super().list_sessions(params, account)
            items = [{**s, "status": None} if s["id"] == odd else s for s in page.items]
            return replace(page, items=items)

    told: list[str] = []
    *_, found = session_import(
        account, Odd(account.stripe, lambda _: None), report=told.append
    ).steps()
    assert (found.sessions, found.unreadable) == (account.sessions() - 1, 1)
    assert told[0].startswith(f"left out: {odd}: ")
