"""Commands that go through several accounts: one that Stripe refuses holds up no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from app.domain.errors import Misconfigured
from app.stripe.errors import StripeRefused


def require_accounts(accounts: Sequence[str]) -> Sequence[str]:
    """The accounts. Raises Misconfigured if there is none, as an organization's key is of none."""
    if not accounts:
        raise Misconfigured(
            ["STRIPE_API_KEY is an organization's, and the ledger knows no account: use --account"]
        )
    return accounts


@contextmanager
def skipping_refused(
    account: str, wanted: str | None, report: Callable[[str], None]
) -> Iterator[None]:
    """Report that Stripe refuses an account, such as one whose access was revoked, and go on.

    Not our own (""), nor the one that was `wanted`, nor a key that is not taken: those are raised.
    """
    try:
        yield
    except StripeRefused as error:
        if not account or wanted or error.status == 401:
            raise
        report(f"{account} is left out: {error}")
