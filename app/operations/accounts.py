"""Which accounts long work asks Stripe about."""

from __future__ import annotations

from app.stores import Stores


def accounts_to_ask(stores: Stores, only: str | None = None) -> list[str]:
    """Our own (""), and each that the ledger has sessions of; or the `only` one that is wanted.

    An organization's key is of no account. Raises Misconfigured without a key, and the ledger's
    errors.
    """
    if only:
        return [only]
    own = [] if stores.require_stripe().of_organization else [""]
    return [*own, *stores.ledger.polling.accounts(stores.settings.livemode)]
