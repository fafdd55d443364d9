"""Import an account: every session at Stripe, into the ledger, as the API returns it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from app.domain.change import Policy
from app.domain.errors import UnreadableEvent
from app.domain.modes import mode_name
from app.operations.effects import enqueue_effects
from app.operations.own_account import check_account
from app.operations.purge_letters import look_again
from app.stores import Stores
from app.stripe.answers import Page
from app.stripe.errors import SessionMissing
from app.stripe.retrying import StripeLists, named

PAGE_SIZE = 100  # Stripe's own limit
# It says when a session was verified, or an attempt of it failed; the session itself does not.
EXPAND = ["data.last_verification_report"]
# Old news is for the receivers at most: nothing is asked of Stripe because of it.
NOTIFY = Policy(recheck=False, notify=True)


@dataclass(frozen=True, slots=True)
class ImportProgress:
    """How far an import has come."""

    resumed: bool  # from the point at which an earlier one was interrupted
    sessions: int = 0
    unreadable: int = 0  # not of the form Stripe documents: left out
    reached: int | None = None  # when the last of them was created, in Unix seconds


class SessionImport:
    """One run through Stripe's sessions, newest first. It can be interrupted, and run twice.

    A session that is opened during an interruption comes by webhook or backfill.
    """

    def __init__(
        self,
        stripe: StripeLists,
        stores: Stores,
        *,
        livemode: bool,
        notify: bool = False,
        account: str = "",
        now: Callable[[], float],
        report: Callable[[str], None] = lambda what: None,
    ) -> None:
        """`livemode` is the mode of Stripe's key; `now` gives Unix seconds.

        `account` is whose sessions they are, "" the key's own; each import has a place of its own.
        `notify` tells receivers of each change: after a loss they may know less than Stripe.
        `report` is given which session is left out, and why.
        """
        self._stripe = stripe
        self._stores = stores
        self._ledger = stores.ledger
        self._livemode = livemode
        self._policy = NOTIFY if notify else None
        self._now = now
        self._report = report
        self._account = account
        self._cursor = f"import_{mode_name(livemode)}" + (f"_{account}" if account else "")

    def steps(self, restart: bool = False) -> Iterator[ImportProgress]:
        """Continue where the last run was interrupted, unless `restart`; yields after each page.

        Raises OtherAccount, StripeUnavailable, StripeRefused and the ledger's errors; what was
        yielded by then is in the ledger.
        """
        check_account(self._stripe, self._ledger, livemode=self._livemode, now=int(self._now()))
        after = "" if restart else self._ledger.cursors.get(self._cursor) or ""
        page, resumed = self._first(after)
        so_far = ImportProgress(resumed)
        while page.items:
            imported = self._apply(page)
            so_far = replace(
                so_far,
                sessions=so_far.sessions + imported,
                unreadable=so_far.unreadable + len(page.items) - imported,
                reached=page.items[-1].get("created"),
            )
            after = page.items[-1]["id"] if page.has_more else ""
            self._ledger.cursors.set(self._cursor, after, int(self._now()))
            yield so_far
            if not after:
                return
            page = self._list(after)
        self._ledger.cursors.set(self._cursor, "", int(self._now()))
        yield so_far

    def _first(self, after: str) -> tuple[Page, bool]:
        """The page to begin with, and whether it continues an earlier run."""
        if after:
            try:
                return self._list(after), True
            except SessionMissing:
                pass  # the session that it names is gone
        return self._list(""), False

    def _list(self, after: str) -> Page:
        params = {"limit": PAGE_SIZE, "expand": EXPAND}
        if after:
            params["starting_after"] = after
        return self._stripe.list_sessions(params, self._account)

    def _apply(self, page: Page) -> int:
        """Apply the page to the ledger; returns how many sessions could be read."""
        observations = []
        for session in page.items:
            try:
                observations.append(self._stripe.observe(session, page, self._account))
            except UnreadableEvent as error:
                self._report(f"left out: {named(session)}: {error}")
        now = int(self._now())
        applied = self._ledger.apply(observations, policy=self._policy, now=now)
        effects = [effect for one in applied for effect in one.effects]
        enqueue_effects(effects, self._stores.effects, now)
        if any(one.snapshot.redaction == "redacted" for one in observations):
            look_again(self._stores)  # an import asks for no purge
        # Stripe was asked just now: the sweep need not do so again soon.
        self._ledger.polling.mark_checked([one.key for one in observations], now)
        return len(observations)
