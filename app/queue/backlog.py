"""How much waits in a queue, for how long, and who works on it. Read only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from redis import Redis
from rq.job import Job
from rq.suspension import WORKERS_SUSPENDED
from rq.worker_registration import WORKERS_BY_QUEUE_KEY

from app.queue.connection import translated_errors
from app.queue.model import QueueSpec, keys_of

# By how much `prelude.lua` puts a lease's score into the future.
FAR = 315_360_000


@dataclass(frozen=True, slots=True)
class Backlog:
    """One queue at one moment. Times are seconds, by Redis' clock."""

    counts: Mapping[str, int]  # queued, started, scheduled, failed
    oldest: float  # since the first in the queue was enqueued; 0 if it is empty
    overdue: float  # since the clock should have moved an expired lease or a due job; 0 for none
    workers: int  # that have shown a sign of life
    suspended: bool  # by `rq suspend`


def read_backlog(connection: Redis, spec: QueueSpec) -> Backlog:
    """Look at a queue, in two round trips whatever its length. Raises QueueUnavailable."""
    queued, _, started, scheduled, failed, *_ = keys_of(spec, "")
    with translated_errors():
        with connection.pipeline(transaction=True) as pipeline:
            pipeline.time()
            pipeline.llen(queued)
            for registry in (started, scheduled, failed):
                pipeline.zcard(registry)
            pipeline.lindex(queued, 0)
            for registry in (started, scheduled):
                pipeline.zrange(registry, 0, 0, withscores=True)
            pipeline.smembers(WORKERS_BY_QUEUE_KEY % spec.name)
            pipeline.exists(WORKERS_SUSPENDED)
            time, *sizes, first, leased, due, registered, suspended = pipeline.execute()
        enqueued, workers = _look_closer(connection, first, registered)
    now = time[0] + time[1] / 1_000_000
    late = [now - (score - FAR) for _, score in leased] + [now - score for _, score in due]
    return Backlog(
        counts=dict(zip(("queued", "started", "scheduled", "failed"), sizes, strict=True)),
        oldest=max(0.0, now - _moment(enqueued, now)),
        overdue=max([0.0, *late]),
        workers=workers,
        suspended=bool(suspended),
    )


def _look_closer(
    connection: Redis, first: bytes | None, registered: set[bytes]
) -> tuple[bytes | None, int]:
    """When the first of the queue came into it, and how many of the registered workers live.

    RQ's set keeps the name of a worker that was killed; its hash expires.
    """
    with connection.pipeline(transaction=False) as pipeline:
        pipeline.hget(Job.redis_job_namespace_prefix + (first or b"").decode(), "enqueued_at")
        for name in registered:
            pipeline.exists(cast(Any, name))
        enqueued, *alive = pipeline.execute()
    return enqueued, sum(alive)


def _moment(utc: bytes | None, otherwise: float) -> float:
    """RQ's text of a time in Unix seconds; `otherwise` if there is none."""
    try:
        return datetime.fromisoformat((utc or b"").decode()).timestamp()
    except ValueError:
        return otherwise
