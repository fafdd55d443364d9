"""What the workers have done, as the queues' own scripts have counted it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from prometheus_client.metrics_core import Metric

from app.domain.effects import REDACT, REDACT_DUE, RETRIEVE, Cancel, Notify, Purge, Recheck
from app.operations.notify import (
    CALLBACK,
    DELIVERED,
    FAILED,
    GONE,
    RECEIVER_PREFIX,
    STREAM,
    SUBSCRIBER,
)
from app.queue.counts import (
    ATTEMPT,
    BURIED,
    COMPLETED,
    DEFERRED,
    EVENT_NAMES,
    LAG_BOUNDS,
    LEASE_CAUSES,
    Counts,
    read_counts,
)
from app.queue.model import EFFECTS, EVENTS
from app.queue.retry_policy import REASONS
from app.stores import Stores
from app.web.metrics.subject import Subject, counter, histogram

OUTCOMES = (COMPLETED, DEFERRED, BURIED)
EFFECT_KINDS = frozenset(
    {Notify.kind, Recheck.kind, Cancel.kind, Purge.kind, REDACT, REDACT_DUE, RETRIEVE}
    | {CALLBACK, SUBSCRIBER, STREAM}
)
RECEIVERS = tuple(kind.removeprefix(RECEIVER_PREFIX) for kind in (CALLBACK, SUBSCRIBER, STREAM))

ByQueue = Mapping[str, Counts]


def subject(stores: Stores) -> Subject[ByQueue]:
    """What became of the jobs, how long it took, and what was told to whom."""
    return Subject("redis", lambda: read_counts(stores.redis, (EVENTS, EFFECTS)), families)


def families(counted: ByQueue) -> Iterator[Metric]:
    """What Prometheus is told of it. What can be counted is told from the start, as 0."""
    events, effects = counted[EVENTS.name], counted[EFFECTS.name]
    yield counter(
        "identity_events_processed",
        "Events by type, and what a worker made of them: completed, deferred (to be tried again), "
        "buried (a dead letter), left (for a worker of a later release).",
        ("type", "outcome"),
        _zeros(EVENT_NAMES, OUTCOMES) | _by_type(events),
    )
    yield counter(
        "identity_effects_run",
        "Effects by kind, and what a worker made of them, as of events.",
        ("kind", "outcome"),
        _zeros(EFFECT_KINDS, OUTCOMES) | effects.jobs(),
    )
    yield counter(
        "identity_failed_attempts",
        "Events that told of a failed attempt, by Stripe's code; codes beyond the first hundreds "
        "are `other`.",
        ("code",),
        _attempts(events),
    )
    yield counter(
        "identity_dead_letters",
        "Jobs that have become dead letters, by queue and reason.",
        ("queue", "reason"),
        _by_queue(counted, "buried", REASONS),
    )
    yield counter(
        "identity_leases_lost",
        "Jobs that were taken up again: their lease had expired, or their worker_died.",
        ("queue", "cause"),
        _by_queue(counted, "lease", LEASE_CAUSES),
    )
    yield histogram(
        "identity_event_lag_seconds",
        "From Stripe's `created`, which has whole seconds, to the event's completion after its "
        "commit. Without thin events.",
        (),
        {(): events.histogram("lag", bounds=LAG_BOUNDS)},
    )
    yield histogram(
        "identity_run_seconds",
        "What a worker ran at once: of events a transaction of up to BATCH, of effects one.",
        ("queue",),
        {queue: counts.histogram("run") for queue, counts in counted.items()},
    )
    yield from _notifications(effects)


def _notifications(effects: Counts) -> Iterator[Metric]:
    sent = {
        (receiver, outcome): count
        for receiver in RECEIVERS
        for outcome, count in effects.of("sent", receiver).items()
    }
    yield counter(
        "identity_notifications",
        "What was sent to each receiver: delivered, failed (tried again, or a dead letter), gone "
        "(it answered 410: nothing more is sent).",
        ("receiver", "outcome"),
        _zeros(RECEIVERS, (DELIVERED, FAILED)) | {(RECEIVERS[0], GONE): 0} | sent,
    )
    yield histogram(
        "identity_notification_seconds",
        "How long a receiver took to answer, or to fail.",
        ("receiver",),
        {receiver: effects.histogram("send", receiver) for receiver in RECEIVERS},
    )


def _by_type(events: Counts) -> Counter[tuple[str, str]]:
    """Events by type and outcome, whatever code they have brought."""
    found: Counter[tuple[str, str]] = Counter()
    for (name, outcome), count in events.jobs().items():
        found[name.partition("/")[0], outcome] += count
    return found


def _attempts(events: Counts) -> Counter[str]:
    found: Counter[str] = Counter()
    for (name, outcome), count in events.jobs().items():
        type, _, code = name.partition("/")
        if type == ATTEMPT and code and outcome == COMPLETED:
            found[code] += count
    return found


def _by_queue(counted: ByQueue, word: str, known: tuple[str, ...]) -> dict[tuple[str, str], int]:
    return _zeros(counted, known) | {
        (queue, of): count
        for queue, counts in counted.items()
        for of, count in counts.of(word).items()
    }


def _zeros(
    names: frozenset[str] | tuple[str, ...] | ByQueue, others: tuple[str, ...]
) -> dict[tuple[str, str], int]:
    return {(name, other): 0 for name in sorted(names) for other in others}
