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
from app.operations.effects import enqueue_unsent
from app.queue.backlog import read_backlog
from app.queue.connection import translated_errors
from app.queue.model import EVENTS, event_job
from app.queue.transitions import REFUSED
from app.stores import Stores
from app.stripe.retrying import StripeLists, named

# Seconds for which Stripe keeps events.
RETENTION = 30 * DAY
# A younger event may still be on its way by webhook: it is left for the next run.
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
    unreadable: int = 0  # not of the form Stripe documents: left out


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
    ) -> None:
        """`now` gives Unix seconds; `report` is given which event is left out, and why."""
        self._stripe = stripe
        self._stores = stores
        self._now = now
        self._report = report
        self._name = f"backfill_{mode_name(stores.settings.livemode)}"

    def steps(self, since: int | None = None) -> Iterator[BackfillProgress]:
        """Continue from the checkpoint, or start at `since`; yields after each slice of time.

        Raises StripeUnavailable, StripeRefused, QueueUnavailable and the ledger's errors; what was
        yielded by then is done.
        """
        stripe_now = self._stripe.list_events({"limit": 1}).date
        horizon = stripe_now - RETENTION
        covered = self._checkpoint(horizon, stripe_now)
        start = max(covered - OVERLAP if since is None else since, horizon)
        so_far = BackfillProgress(start, max(start, stripe_now - IN_FLIGHT), start)
        yield so_far
        length = FIRST_SLICE
        while so_far.reached < so_far.until:
            end = min(so_far.reached + length, so_far.until)
            events = self._read(so_far.reached, end)
            if events is None:
                length = max(1, (end - so_far.reached) // SHRINK)
                continue
            missing, unreadable = self._enqueue_missing(events)
            if so_far.reached <= covered:  # else `since` has left a gap before this slice
                covered = max(covered, end)
                self._set_checkpoint(covered)
            if len(events) <= PAGE_SIZE * MAX_PAGES // 4:
                length = (end - so_far.reached) * 2
            so_far = replace(
                so_far,
                reached=end,
                events=so_far.events + len(events),
                missing=so_far.missing + missing,
                unreadable=so_far.unreadable + unreadable,
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
            page = self._stripe.list_events(params)
            events += [self._parse(item) for item in page.items]
            if not page.has_more or not page.items:
                return events[::-1]
            params["starting_after"] = page.items[-1]["id"]
        return None

    def _parse(self, item: dict[str, Any]) -> SessionEvent | None:
        try:
            return SessionEvent.parse(item, self._stores.settings.reference_metadata_keys)
        except UnreadableEvent as error:
            self._report(f"left out: {named(item)}: {error}")
            return None

    def _enqueue_missing(self, events: list[SessionEvent | None]) -> tuple[int, int]:
        """Enqueue what is missing; returns how many were, and how many could not be read."""
        readable = [event for event in events if event is not None]
        ids = [event.id for event in readable]
        ledger = self._stores.ledger
        known = ledger.has_events(ids) | ledger.discarded(ids)
        jobs = [event_job(event) for event in readable if event.id not in known]
        missing = sum(
            outcome not in ("duplicate", REFUSED)
            for outcome in self._stores.events.enqueue_missing(jobs)
        )
        if missing:
            ledger.cursors.add(MISSED, missing, int(self._now()))
        return missing, len(events) - len(readable)

    def _checkpoint(self, horizon: int, stripe_now: int) -> int:
        """The time before which nothing is missing; the horizon if a store has no checkpoint."""
        with translated_errors():
            in_redis = cast(bytes | None, self._stores.redis.get(self._key))
        in_ledger = self._stores.ledger.cursors.get(self._name)
        if in_redis is None:
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
        while enqueue_unsent(self._stores.effects, ledger, before=now + 1, now=now):
            pass

    @property
    def _key(self) -> str:
        return f"identity:{self._name}"
