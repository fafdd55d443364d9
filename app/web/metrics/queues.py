"""The queues as they are now, and what they have done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client.metrics_core import Metric

from app.queue.backlog import Backlog, read_backlog
from app.queue.model import EFFECTS, EVENTS
from app.stores import Stores
from app.web.metrics.subject import Subject, counter, gauge

Backlogs = Mapping[str, Backlog]  # by the queue's name


def subject(stores: Stores) -> Subject[Backlogs]:
    """How much waits in each queue, for how long, and who works on it."""

    def read() -> Backlogs:
        return {spec.name: read_backlog(stores.redis, spec) for spec in (EVENTS, EFFECTS)}

    return Subject("redis", read, families, shows_up=True)


def families(backlogs: Backlogs) -> Iterator[Metric]:
    """What Prometheus is told of them."""
    yield gauge(
        "identity_jobs",
        "Jobs of the queue: queued, started, scheduled (to be tried later), failed (dead letters).",
        ("queue", "state"),
        {
            (queue, state): count
            for queue, backlog in backlogs.items()
            for state, count in backlog.counts.items()
        },
    )
    yield gauge(
        "identity_oldest_queued_seconds",
        "Age of the oldest queued job; 0: none.",
        ("queue",),
        {queue: backlog.oldest for queue, backlog in backlogs.items()},
    )
    yield gauge(
        "identity_overdue_seconds",
        "How long an expired lease or a due job has waited for the clock; 0: none.",
        ("queue",),
        {queue: backlog.overdue for queue, backlog in backlogs.items()},
    )
    yield gauge(
        "identity_workers",
        "Workers with a current heartbeat.",
        ("queue",),
        {queue: backlog.workers for queue, backlog in backlogs.items()},
    )
    yield gauge(
        "identity_workers_suspended",
        "1: the workers rest, by `rq suspend`.",
        (),
        {(): any(backlog.suspended for backlog in backlogs.values())},
    )
    yield counter(
        "identity_jobs_completed",
        "Jobs done: events applied, effects run.",
        ("queue",),
        {queue: backlog.completed for queue, backlog in backlogs.items()},
    )
