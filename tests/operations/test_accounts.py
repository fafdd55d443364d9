"""Connected accounts and organizations: each is backfilled, imported and asked about by itself."""

from __future__ import annotations

from typing import Any

import pytest
import stripe as stripe_package
from starlette.datastructures import Secret

from app.configuration.settings import Settings
from app.domain.event import EVENT_TYPES
from app.operations.accounts import accounts_to_ask
from app.operations.backfill import Backfill
from app.operations.import_sessions import SessionImport
from app.operations.sweep import sweep
from app.stripe.client import StripeApi, open_stripe
from tests.support.account import DAY, KEY, Account
from tests.support.workers import with_stores
from workers.context import Context

ORGANIZATION = "sk_org_test_1"


def client_of(account: Account, **options: Any) -> stripe_package.StripeClient:
    key = options.pop("key", KEY)
    return stripe_package.StripeClient(key, base_addresses={"api": account.sandbox.url}, **options)


def verified_at(account: Account, client: stripe_package.StripeClient, reference: str) -> str:
    """A session of the client's account, through to its end; its id."""
    params: Any = {"type": "document", "client_reference_id": reference}
    session = client.v1.identity.verification_sessions.create(params)
    account.sandbox.submit(session.id, "verified")
    return str(session.id)


def backfill(account: Account, of: str, context: Context | None = None) -> int:
    """How many events were missing."""
    context = context or account.context
    run = Backfill(context.stores.require_stripe(), context.stores, now=context.now, account=of)
    *_, last = run.steps()
    return last.missing


def import_all(account: Account, of: str, context: Context | None = None) -> int:
    context = context or account.context
    stripe = context.stores.require_stripe()
    run = SessionImport(stripe, context.stores, livemode=False, now=context.now, account=of)
    *_, last = run.steps()
    return last.sessions


def with_organization_key(account: Account) -> Context:
    settings = Settings(stripe_api_key=Secret(ORGANIZATION), stripe_api_base=account.sandbox.url)
    stripe = open_stripe(settings)
    assert stripe is not None
    return with_stores(account.context, stripe=stripe)


def status(account: Account, reference: str, of: str) -> str | None:
    ledger = account.context.stores.ledger
    record = ledger.read_reference(reference, account=of, livemode=False)
    return None if record is None else record.standing.status


@pytest.mark.parametrize("how", [backfill, import_all])
def test_a_connected_accounts_sessions_come_in_under_its_name(account: Account, how: Any) -> None:
    of = f"acct_c{how.__name__.replace('_', '')}"
    verified_at(account, client_of(account, stripe_account=of), "user-1")
    assert how(account, of)
    account.work()
    assert status(account, "user-1", of) == "verified"
    assert status(account, "user-1", "") is None


def test_each_account_has_checkpoints_of_its_own(account: Account) -> None:
    client = client_of(account, stripe_account="acct_apart")
    verified_at(account, client, "user-1")
    account.advance(10 * DAY)
    assert backfill(account, "") == 0
    assert backfill(account, "acct_apart") == 3


def test_our_own_and_all_that_the_ledger_knows_are_asked(account: Account) -> None:
    assert accounts_to_ask(account.context.stores) == [""]
    for of in ("acct_two", "acct_one"):
        verified_at(account, client_of(account, stripe_account=of), "user-1")
        import_all(account, of)
    assert accounts_to_ask(account.context.stores) == ["", "acct_one", "acct_two"]
    assert accounts_to_ask(account.context.stores, "acct_new") == ["acct_new"]


def test_a_connected_accounts_session_that_is_due_is_asked_about_there(account: Account) -> None:
    client = client_of(account, stripe_account="acct_due")
    params: Any = {"type": "document", "client_reference_id": "user-1"}
    session = client.v1.identity.verification_sessions.create(params)
    import_all(account, "acct_due")
    account.sandbox.submit(session.id, "verified")
    account.advance(DAY + 60)
    assert list(sweep(account.context.stores, limit=9, now=account.stripe_now))
    assert status(account, "user-1", "acct_due") == "verified"


@pytest.mark.parametrize("of", ["acct_member", "acct_member/acct_below"])
@pytest.mark.parametrize("how", [backfill, import_all])
def test_an_organizations_key_names_the_account_by_context(
    account: Account, how: Any, of: str
) -> None:
    client = client_of(account, key=ORGANIZATION, stripe_context=of)
    reference = f"user of {how.__name__}"
    verified_at(account, client, reference)
    context = with_organization_key(account)
    assert how(account, of, context)
    account.work()
    assert status(account, reference, of) == "verified"
    assert accounts_to_ask(context.stores) == [of]


def test_whose_the_events_are_is_what_was_asked_for(account: Account) -> None:
    """A list does not say it: an event of another name would be another reference's."""
    client = client_of(account, stripe_account="acct_listed")
    verified_at(account, client, "user-1")
    params = {"limit": 9, "types": sorted(EVENT_TYPES)}
    listed = account.stripe.list_events(params, "acct_listed").items
    assert len(listed) == 3
    assert not any(item.get("account") or item.get("context") for item in listed)
    assert backfill(account, "acct_listed") == 3
    account.work()
    assert status(account, "user-1", "acct_listed") == "verified"


def test_an_organizations_key_is_of_no_account(account: Account) -> None:
    stripe = StripeApi(ORGANIZATION, account.sandbox.url)
    assert stripe.own_account() is None
