"""Adopt an account: every session that Stripe has, into the ledger, as what the API answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from app.domain.effects import Change, Effect, Policy
from app.domain.errors import UnreadableEvent
from app.domain.session import Observation
from app.ledger.ledger import Ledger
from app.ledger.upkeep import SessionKey
from app.operations.unhurried import StripeLists, named
from app.stripe_api import Page, StripeRefused

PAGE = 100  # Stripe's own limit
# Nobody is told of old news, and nothing is asked of Stripe because of it.
SILENT = Policy(check_back=False, notify=False)


@dataclass(frozen=True, slots=True)
class Adopted:
    """How far an adoption has come."""

    resumed: bool  # at where an earlier one was broken off
    sessions: int = 0
    unreadable: int = 0  # not of the form Stripe documents: left out
    reached: int | None = None  # when the last of them was created, in Unix seconds


class Adoption:
    """One run through Stripe's sessions, newest first. It may be broken off, and be run twice.

    A session that was opened while it was broken off comes by webhook or backfill.
    """

    def __init__(
        self,
        stripe: StripeLists,
        ledger: Ledger,
        *,
        livemode: bool,
        now: Callable[[], float],
        tell: Callable[[str], None] = lambda what: None,
    ) -> None:
        """`livemode` is the mode of Stripe's key; `now` is in Unix seconds.

        `tell` hears of each session that is left out, and why.
        """
        self._stripe = stripe
        self._ledger = ledger
        self._livemode = livemode
        self._now = now
        self._tell = tell
        self._mark = f"import_{'live' if livemode else 'test'}"

    def steps(self, restart: bool = False) -> Iterator[Adopted]:
        """Go on where the last one was broken off, unless `restart`; tells of each page.

        Raises StripeUnavailable, StripeRefused and the ledger's errors; what was told by then is
        in the ledger.
        """
        after = "" if restart else self._ledger.upkeep.mark(self._mark) or ""
        page, resumed = self._first(after)
        so_far = Adopted(resumed)
        while page.items:
            adopted = self._apply(page)
            so_far = replace(
                so_far,
                sessions=so_far.sessions + adopted,
                unreadable=so_far.unreadable + len(page.items) - adopted,
                reached=page.items[-1].get("created"),
            )
            after = page.items[-1]["id"] if page.has_more else ""
            self._ledger.upkeep.set_mark(self._mark, after, int(self._now()))
            yield so_far
            if not after:
                return
            page = self._list(after)
        self._ledger.upkeep.set_mark(self._mark, "", int(self._now()))
        yield so_far

    def _first(self, after: str) -> tuple[Page, bool]:
        """The page to begin with, and whether it goes on from an earlier run."""
        if after:
            try:
                return self._list(after), True
            except StripeRefused as error:
                if error.code != "resource_missing":  # else it was of another account
                    raise
        return self._list(""), False

    def _list(self, after: str) -> Page:
        return self._stripe.list_sessions(
            {"limit": PAGE, **({"starting_after": after} if after else {})}
        )

    def _apply(self, page: Page) -> int:
        """Into the ledger; returns how many could be read."""
        seen = []
        for session in page.items:
            try:
                seen.append(self._stripe.observe(session, page.date))
            except UnreadableEvent as error:
                self._tell(f"left out: {named(session)}: {error}")
        for observation in seen:
            self._apply_one(observation)
        # Stripe was asked just now: the sweep need not do so again soon.
        keys = [SessionKey(one.session_id, one.account, one.livemode) for one in seen]
        self._ledger.upkeep.mark_all_checked(keys, int(self._now()))
        return len(seen)

    def _apply_one(self, observation: Observation) -> None:
        self._ledger.apply(observation, decide=_nothing, policy=SILENT, now=int(self._now()))


def _nothing(change: Change) -> list[Effect]:
    return []
