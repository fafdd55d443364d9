"""Gathers what the verdict looks at: bounded reads, whatever is in the stores."""

from __future__ import annotations

from collections.abc import Mapping

from app.domain.overview import LATE, NONE, Count, Deferred, Facts, QueueFacts, ReceiverState
from app.operations.dlq.users import user_of
from app.operations.notify import CALLBACK, RECEIVER_PREFIX, STREAM, SUBSCRIBER, is_gone
from app.operations.overview.reading import LEDGER, REDIS, Faults
from app.queue.backlog import Backlog, first_payloads, read_backlog
from app.queue.breaker import STRIPE, Breaker
from app.queue.deferred import DeferredSummary
from app.queue.model import EFFECTS, EVENTS
from app.queue.registry import PAGE
from app.queue.secret_use import read_secret_use
from app.stores import Stores

SPECS = (EVENTS, EFFECTS)


def read_facts(stores: Stores, now: float, faults: Faults) -> Facts:
    """All that can be read now; what cannot is noted in `faults`. `now` is in Unix seconds."""
    backlogs = faults.read(REDIS, lambda: {s.name: read_backlog(stores.redis, s) for s in SPECS})
    deferred = faults.read(
        REDIS, lambda: {s.name: stores.deferred(s.name).summarise() for s in SPECS}
    )
    queues = _queues(backlogs, deferred)
    last_event = faults.read(LEDGER, stores.ledger.last_event)
    paused = bool(backlogs) and any(one.suspended for one in (backlogs or {}).values())
    events = queues.get(EVENTS.name)
    stands_still = bool(faults.of(LEDGER)) or paused or bool(events and not events.workers)
    lagging = None
    if events and events.waiting and (stands_still or events.waits >= LATE):
        waiting = events
        lagging = faults.read(REDIS, lambda: _users_waiting(stores, waiting))
    receivers = faults.read(REDIS, lambda: _receivers(stores))
    last_delivery = faults.read(REDIS, lambda: _last_delivery(stores))
    rests = faults.read(REDIS, lambda: Breaker(stores.redis, STRIPE).rests())
    gone = faults.read(LEDGER, lambda: is_gone(stores.settings, stores.ledger))
    return Facts(
        now=now,
        redis_fault=faults.of(REDIS),
        ledger_fault=faults.of(LEDGER),
        events=events,
        effects=queues.get(EFFECTS.name),
        paused=paused,
        lagging=lagging or NONE,
        last_event=last_event,
        last_delivery=last_delivery,
        stripe_rests=bool(rests),
        receivers=_with_gone(receivers or (), bool(gone)),
    )


def _queues(
    backlogs: Mapping[str, Backlog] | None, deferred: Mapping[str, DeferredSummary] | None
) -> dict[str, QueueFacts]:
    if backlogs is None or deferred is None:
        return {}
    return {name: _queue(found, deferred[name]) for name, found in backlogs.items()}


def _queue(backlog: Backlog, summary: DeferredSummary) -> QueueFacts:
    return QueueFacts(
        queued=backlog.counts["queued"],
        oldest=backlog.oldest,
        overdue=backlog.overdue,
        workers=backlog.workers,
        dead=backlog.counts["failed"],
        deferred=Deferred(
            count=Count(summary.count, not summary.complete),
            seconds=summary.seconds,
            reason=summary.reasons[0].error_class if summary.reasons else "",
        ),
    )


def _users_waiting(stores: Stores, events: QueueFacts) -> Count:
    """The users of the first events in the queue, and of the next that are tried again."""
    payloads = first_payloads(stores.redis, EVENTS, PAGE)
    users = {user_of(payload) for payload in payloads}
    deferred = 0
    if events.deferred.count.number:
        jobs = [job for _, job in stores.deferred(EVENTS.name).page(None, PAGE) if job is not None]
        users |= {user_of(job.payload) for job in jobs}
        deferred = len(jobs)
    more = events.queued > len(payloads) or events.deferred.count.number > deferred
    return Count(len(users - {None}), more)


def _last_delivery(stores: Stores) -> int | None:
    """When a delivery last came, in Unix seconds; None where no signing secret is known."""
    secrets = stores.settings.webhook_secrets
    return max(read_secret_use(stores.redis, secrets).values()) if secrets else None


def _receivers(stores: Stores) -> tuple[tuple[str, ReceiverState], ...]:
    settings = stores.settings
    named = (
        (CALLBACK, settings.notify_url),
        (SUBSCRIBER, settings.subscriber),
        (STREAM, settings.notify_stream),
    )
    return tuple(
        (
            kind.removeprefix(RECEIVER_PREFIX),
            "rests" if Breaker(stores.redis, kind).rests() else "told",
        )
        for kind, named_by in named
        if named_by is not None
    )


def _with_gone(
    receivers: tuple[tuple[str, ReceiverState], ...], gone: bool
) -> tuple[tuple[str, ReceiverState], ...]:
    """The receivers, of which the callback may have answered 410."""
    callback = CALLBACK.removeprefix(RECEIVER_PREFIX)
    return tuple(
        (name, "gone" if gone and name == callback else state) for name, state in receivers
    )
