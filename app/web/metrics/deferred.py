"""What failed and waits to be tried again: how many, why, and for how long."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client.metrics_core import Metric

from app.queue.deferred import DeferredSummary
from app.queue.model import EFFECTS, EVENTS
from app.stores import Stores
from app.web.metrics.subject import Subject, gauge

Deferred = Mapping[str, DeferredSummary]  # by the queue's name


def subject(stores: Stores) -> Subject[Deferred]:
    """What is deferred in each queue."""

    def read() -> Deferred:
        names = (EVENTS.name, EFFECTS.name)
        return {name: stores.deferred(name).summarise() for name in names}

    return Subject("redis", read, families)


def families(deferred: Deferred) -> Iterator[Metric]:
    """What Prometheus is told of it."""
    yield gauge(
        "identity_deferred",
        "Jobs that failed and wait to be tried again, by the class of their last error, of up to "
        "1,000 scheduled jobs.",
        ("queue", "reason"),
        {
            (queue, reason.error_class): reason.count
            for queue, summary in deferred.items()
            for reason in summary.reasons
        },
    )
    yield gauge(
        "identity_deferred_oldest_seconds",
        "Since the first of them failed for the first time; 0: none waits.",
        ("queue",),
        {queue: summary.seconds for queue, summary in deferred.items()},
    )
