"""Which Stripe account the ledger belongs to, for the top of every page."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from app.domain.errors import StoreFailure
from app.ledger.cursors import Cursors
from app.operations.own_account import known_account

# Seconds for which an answer is good, and a failure: a page must not wait for the ledger twice.
GOOD_FOR = 60.0


class OwnAccount:
    """The team's own account in each mode: read once in a while for all pages."""

    def __init__(self, cursors: Cursors, monotonic: Callable[[], float]) -> None:
        """`cursors` are the ledger's; `monotonic` gives seconds."""
        self._cursors = cursors
        self._monotonic = monotonic
        self._known: dict[bool, tuple[str, float]] = {}  # the account, and until when it is good

    def name(self, livemode: bool) -> str:
        """The account; "" if the ledger does not know it yet, or is away."""
        account, good_until = self._known.get(livemode, ("", -1.0))
        if self._monotonic() >= good_until:
            with suppress(StoreFailure):  # what was known stays
                account = known_account(self._cursors, livemode) or ""
            self._known[livemode] = (account, self._monotonic() + GOOD_FOR)
        return account

    def remembered(self, livemode: bool) -> str:
        """The account as it was read last, without asking."""
        return self._known.get(livemode, ("", 0.0))[0]
