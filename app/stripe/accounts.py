"""Whose key it is, and how a call names another account."""

from __future__ import annotations

import re
from typing import Any

import stripe

from app.stripe.errors import NOT_STRIPES, StripeRefused, StripeUnavailable, translated_errors

# No restricted key may read its account (dj-stripe/dj-stripe#1131), but the refusal names it: "does
# not have the required permissions for this endpoint on account 'acct_…'" (stripe-node#2246).
NAMED_ACCOUNT = re.compile(r"\bon account '(acct_[A-Za-z0-9]{1,64})'")

# How every key of an organization begins: https://docs.stripe.com/keys/organization-api-keys.
ORGANIZATION_KEY = "sk_org"


def account_options(account: str, *, organization: bool) -> dict[str, str]:
    """The options of the stripe package that have a call be about an account; "" is the key's own.

    `Stripe-Account` names a connected account. An organization's key has to send `Stripe-Context`
    with every call, and only that takes a path (https://docs.stripe.com/context).
    """
    if not account:
        return {}
    by_context = organization or "/" in account
    return {"stripe_context" if by_context else "stripe_account": account}


def ask_own_account(client: stripe.StripeClient) -> str | None:
    """The account (acct_…) of the client's key; None if Stripe does not say.

    `GET /v1/account`: https://docs.stripe.com/api/accounts/retrieve. Raises StripeUnavailable and
    StripeRefused.
    """
    try:
        with translated_errors():
            found: Any = client.raw_request("get", "/v1/account").data
    except StripeRefused as refusal:
        if refusal.status != 403:
            raise
        named = NAMED_ACCOUNT.search(str((refusal.answer.error or {}).get("message")))
        return named[1] if named else None
    account = found.get("id") if isinstance(found, dict) else None
    if not isinstance(account, str):
        raise StripeUnavailable(NOT_STRIPES)
    return account
