"""Which Stripe account the ledger belongs to: another's key would find none of its sessions."""

from __future__ import annotations

from typing import Protocol

from app.domain.errors import OtherAccount
from app.domain.modes import mode_name
from app.ledger.cursors import Cursors
from app.ledger.ledger import Ledger


class KnowsAccount(Protocol):
    """What is asked whose key it has."""

    def own_account(self) -> str | None:
        """The account of the key; None if Stripe does not say."""


def check_account(stripe: KnowsAccount, ledger: Ledger, *, livemode: bool, now: int) -> None:
    """Raises OtherAccount if the key's account is not the ledger's; the first one becomes it.

    `livemode` is the mode of the key: each has an account of its own. `now` is in Unix seconds.
    Raises what Stripe's calls and the ledger raise.
    """
    account = stripe.own_account()
    if account is None:
        return
    known = known_account(ledger.cursors, livemode)
    if known is None:
        remember_account(account, ledger, livemode=livemode, now=now)
    elif known != account:
        raise OtherAccount(mismatch(account, known, livemode))


def known_account(cursors: Cursors, livemode: bool) -> str | None:
    """The account that the ledger's sessions of a mode belong to; None if it is not known yet."""
    return cursors.get(_cursor(livemode))


class OwnAccounts:
    """The ledger's accounts, for one batch of events: each is read once."""

    def __init__(self, cursors: Cursors) -> None:
        """`cursors` are the ledger's."""
        self._cursors = cursors
        self._known: dict[bool, str] = {}

    def name(self, account: str, livemode: bool) -> str:
        """The account as keys have it: "" if it is our own, which an organization's events name.

        Raises the ledger's errors.
        """
        known = self._known.get(livemode)
        if known is None:
            known = known_account(self._cursors, livemode)
            if known is None:
                return account
            self._known[livemode] = known
        return "" if account == known else account


def remember_account(account: str, ledger: Ledger, *, livemode: bool, now: int) -> None:
    """Have the ledger belong to this account from now on. `now` is in Unix seconds."""
    ledger.cursors.set(_cursor(livemode), account, now)


def mismatch(account: str, known: str, livemode: bool) -> str:
    """What an operator is told: both accounts, and what to do."""
    return (
        f"STRIPE_API_KEY is a key of {account}, but the {mode_name(livemode)}-mode sessions of "
        f"this ledger are those of {known}: set a key of {known}, or, if the ledger is to follow "
        f"{account} from now on, run `import --new-account` once"
    )


def _cursor(livemode: bool) -> str:
    return f"stripe_account_{mode_name(livemode)}"
