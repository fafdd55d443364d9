"""Compare Stripe's event list with ledger and queue, and enqueue what both lack."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

from app.domain.durations import DAY, HOUR, MINUTE
from app.domain.errors import UnreadableEvent
from app.domain.event import EVENT_TYPES, SessionEvent
from app.domain.modes import mode_name
from app.ledger.stats import MISSED
from app.operations.backfilled import remember_backfilled
from app.operations.dead_effects import LOOKED_UNTIL
from app.operations.effects import enqueue_unsent
from app.operations.own_account import check_account
from app.queue.backlog import read_backlog
from app.queue.connection import translated_errors
from app.queue.enqueuing import REFUSED
from app.queue.model import EVENTS, event_job
from app.stores import Stores
from app.stripe.retrying import StripeLists, named

# Seconds for which Stripe keeps events.
RETENTION = 30 * DAY
# A younger event may still be on its way by webhook: the clock leaves it for the next run.
IN_FLIGHT = MINUTE
# Seconds before the checkpoint that are checked again: Stripe's list may show an event late, and
# a Redis that was killed may have lost the last ones it accepted.
OVERLAP = HOUR
# Events in a page: Stripe's own limit. Pages in a slice: all of them are in memory.
PAGE_SIZE = 100
MAX_PAGES = 10
FIRST_SLICE = HOUR
# A slice of too many events is made this much shorter: what was read of it is read again.
SHRINK = 8
# Queued jobs above which no more are added: Redis has to have room for deliveries.
CROWDED = 20_000


@dataclass(frozen=True, slots=True)
class BackfillProgress:
    """How far a backfill has come. Times are Stripe's, in Unix seconds."""

    since: int
    until: int
    reached: int  # all events before it have been checked
    events: int = 0  # that Stripe has
    missing: int = 0  # that neither ledger nor queue had; they are queued now
    missed: int = 0  # those of them that the webhook should have brought: since the first fill
    unreadable: int = 0  # not of the form Stripe documents: left out


def forget_checkpoint(stores: Stores, now: int) -> None:
    """Have the next run begin as early as it can: what was checked were another account's events.

    `now` is in Unix seconds.
    """
    name = _checkpoint_name(stores, "")
    stores.ledger.cursors.set(name, "0", now)
    stores.ledger.cursors.set(_first_fill_name(name), str(now), now)


def record_success(stores: Stores, now: int) -> None:
    """Remember that a run has come to its end, for the metrics. `now` is in Unix seconds."""
    stores.ledger.cursors.set(_success_name(stores), str(now), now)


def last_success(stores: Stores) -> int | None:
    """When a run has last come to its end, in Unix seconds; None if none has."""
    found = stores.ledger.cursors.get(_success_name(stores))
    return None if found is None else int(found)


def _success_name(stores: Stores) -> str:
    return f"{_checkpoint_name(stores, '')}_succeeded"


def _checkpoint_name(stores: Stores, account: str) -> str:
    name = f"backfill_{mode_name(stores.settings.livemode)}"
    return f"{name}_{account}" if account else name


def _first_fill_name(checkpoint_name: str) -> str:
    return f"{checkpoint_name}_first"


class Backfill:
    """One run through Stripe's events, oldest first. It can be interrupted, and run twice.

    The ledger and Redis each keep a checkpoint, and the earlier one counts: every event before it
    is in one of the two. If one of them is lost, or restored from a backup, so is its checkpoint.
    """

    def __init__(
        self,
        stripe: StripeLists,
        stores: Stores,
        *,
        now: Callable[[], float],
        report: Callable[[str], None] = lambda what: None,
        in_flight: int = 0,
        account: str = "",
    ) -> None:
        """`now` gives Unix seconds; `report` is given which event is left out, and why.

        `in_flight` is how many of the last seconds are left to the webhook: 0 goes up to now.
        `account` is whose events they are, "" the key's own: each has checkpoints of its own.
        """
        self._stripe = stripe
        self._stores = stores
        self._now = now
        self._report = report
        self._in_flight = in_flight
        self._account = account
        self._name = _checkpoint_name(stores, account)

    def steps(self, since: int | None = None) -> Iterator[BackfillProgress]:
        """Continue from the checkpoint, or start at `since`; yields after each slice of time.

        Raises OtherAccount, StripeUnavailable, StripeRefused, QueueUnavailable and the ledger's
        errors; what was yielded by then is done.
        """
        check_account(
            self._stripe,
            self._stores.ledger,
            livemode=self._stores.settings.livemode,
            now=int(self._now()),
        )
        stripe_now = self._stripe.list_events({"limit": 1}, self._account).date
        horizon = stripe_now - RETENTION
        covered = self._checkpoint(horizon, stripe_now)
        start = max(covered - OVERLAP if since is None else since, horizon)
        # To the end of Stripe's current second, which is not over yet: it is looked at again.
        until = stripe_now - self._in_flight if self._in_flight else stripe_now + 1
        so_far = BackfillProgress(start, max(start, until), start)
        filled = self._first_fill(stripe_now)
        yield so_far
        length = FIRST_SLICE
        while so_far.reached < so_far.until:
            end = min(so_far.reached + length, so_far.until)
            events = self._read(so_far.reached, end)
            if events is None:
                length = max(1, (end - so_far.reached) // SHRINK)
                continue
            readable = [event for event in events if event is not None]
            missing = self._enqueue_missing(readable)
            missed = sum(event.created >= filled for event in missing)
            if missed:
                self._stores.ledger.cursors.add(MISSED, missed, int(self._now()))
            if so_far.reached <= covered:  # else `since` has left a gap before this slice
                covered = max(covered, end)
                self._set_checkpoint(min(covered, stripe_now))
            if len(events) <= PAGE_SIZE * MAX_PAGES // 4:
                length = (end - so_far.reached) * 2
            so_far = replace(
                so_far,
                reached=end,
                events=so_far.events + len(events),
                missing=so_far.missing + len(missing),
                missed=so_far.missed + missed,
                unreadable=so_far.unreadable + len(events) - len(readable),
            )
            yield so_far

    def crowded(self) -> bool:
        """Whether the workers should first process some of what is queued."""
        return read_backlog(self._stores.redis, EVENTS).counts["queued"] > CROWDED

    def _read(self, start: int, end: int) -> list[SessionEvent | None] | None:
        """A slice's events, oldest first, None for each unreadable one; None if too many."""
        events: list[SessionEvent | None] = []
        params = {
            "types": sorted(EVENT_TYPES),
            "created": {"gte": start, "lt": end},
            "limit": PAGE_SIZE,
        }
        # One second cannot be divided: its events are read however many they are.
        while len(events) < PAGE_SIZE * MAX_PAGES or end - start == 1:
            page = self._stripe.list_events(params, self._account)
            events += [self._parse(item) for item in page.items]
            if not page.has_more or not page.items:
                return events[::-1]
            params["starting_after"] = page.items[-1]["id"]
        return None

    def _parse(self, item: dict[str, Any]) -> SessionEvent | None:
        # A list does not say whose it is, and is not believed where it does.
        item = {**item, "account": None, "context": self._account or None}
        try:
            return SessionEvent.parse(item, self._stores.settings.metadata_keys)
        except UnreadableEvent as error:
            self._report(f"left out: {named(item)}: {error}")
            return None

    def _enqueue_missing(self, events: list[SessionEvent]) -> list[SessionEvent]:
        """Enqueue what neither ledger nor queue has; gives it."""
        ledger, queue = self._stores.ledger, self._stores.events
        ids = [event.id for event in events]
        known = ledger.has_events(ids) | ledger.discarded(ids)
        unknown = {event.id: event for event in events if event.id not in known}
        jobs = {id: event_job(event) for id, event in unknown.items()}
        outcomes = dict(zip(jobs, queue.enqueue_absent(jobs.values()), strict=True))
        added = [id for id, outcome in outcomes.items() if outcome not in ("duplicate", REFUSED)]
        here = [id for id, outcome in outcomes.items() if outcome == "duplicate"]
        # One that was finished before the ledger is asked again, and is not there, is lost with an
        # earlier ledger; the others were applied meanwhile.
        finished = [id for id, at in queue.statuses(here).items() if at == "finished"]
        lost = sorted(set(finished) - ledger.has_events(finished))
        queue.enqueue_missing(jobs[id] for id in lost)
        brought = [unknown[id] for id in (*added, *lost)]
        remember_backfilled(self._stores.redis, brought)
        return brought

    def _first_fill(self, stripe_now: int) -> int:
        """When the ledger was first filled, by Stripe's clock: no webhook brought what is older."""
        cursors, name = self._stores.ledger.cursors, _first_fill_name(self._name)
        found = cursors.get(name)
        if found is None:
            cursors.set(name, str(stripe_now), int(self._now()))
        return int(found or stripe_now)

    def _checkpoint(self, horizon: int, stripe_now: int) -> int:
        """The time before which nothing is missing; the horizon if a store has no checkpoint."""
        with translated_errors():
            in_redis = cast(bytes | None, self._stores.redis.get(self._key))
        in_ledger = self._stores.ledger.cursors.get(self._name)
        if in_redis is None and not self._account:  # once, for those of all accounts
            self._enqueue_effects()
        if in_redis is None or in_ledger is None:
            return horizon
        reached = min(int(in_redis), int(in_ledger))
        # A checkpoint in the future is another Stripe's.
        return reached if horizon < reached <= stripe_now else horizon

    def _set_checkpoint(self, reached: int) -> None:
        with translated_errors():
            self._stores.redis.set(self._key, reached)
        self._stores.ledger.cursors.set(self._name, str(reached), int(self._now()))

    def _enqueue_effects(self) -> None:
        """Redis was lost, or is new: enqueue the effects that are still to be run."""
        ledger, now = self._stores.ledger, int(self._now())
        ledger.forget_enqueued()
        with translated_errors():  # dead letters that were not lost are found dead again
            self._stores.redis.delete(LOOKED_UNTIL)
        while enqueue_unsent(self._stores.effects, ledger, before=now + 1, now=now):
            pass

    @property
    def _key(self) -> str:
        return f"identity:{self._name}"
