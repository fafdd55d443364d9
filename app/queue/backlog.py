"""How much waits in a queue, for how long, and who works on it. Read only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from redis import Redis
from rq.job import Job
from rq.queue import Queue
from rq.suspension import WORKERS_SUSPENDED
from rq.worker_registration import WORKERS_BY_QUEUE_KEY

from app.queue.connection import translated_errors
from app.queue.model import EFFECTS, EVENTS, QueueSpec, keys_of
from app.queue.pausing import Pause, read_note
from app.queue.registry import Registry, moment_of, payload_by_name, text_of

# By how much `prelude.lua` puts a lease's score into the future.
FAR = 315_360_000
# Where `complete.lua` counts, by queue.
COMPLETED = "identity:completed"


@dataclass(frozen=True, slots=True)
class Backlog:
    """One queue at one moment. Times are seconds, by Redis' clock."""

    counts: Mapping[str, int]  # queued, started, scheduled, failed
    oldest: float  # since the first in the queue was enqueued; 0 if it is empty
    overdue: float  # since the clock should have moved an expired lease or a due job; 0 for none
    workers: int  # that have shown a sign of life
    completed: int  # jobs in all, since Redis was last empty
    pause: Pause | None  # of the workers of both queues

    @property
    def suspended(self) -> bool:
        """Whether the workers are paused."""
        return self.pause is not None


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
            pipeline.smembers(WORKERS_BY_QUEUE_KEY % spec.rq_name)
            pipeline.get(WORKERS_SUSPENDED)
            pipeline.expiretime(WORKERS_SUSPENDED)
            pipeline.hget(COMPLETED, queued)
            time, *sizes, first, leased, due, registered, note, expires, done = pipeline.execute()
        enqueued, workers = _look_closer(connection, first, registered)
    now = time[0] + time[1] / 1_000_000
    late = [now - (score - FAR) for _, score in leased] + [now - score for _, score in due]
    return Backlog(
        counts=dict(zip(("queued", "started", "scheduled", "failed"), sizes, strict=True)),
        oldest=max(0.0, now - moment_of(text_of(enqueued), now)),
        overdue=max([0.0, *late]),
        workers=workers,
        completed=int(done or 0),
        pause=read_note(note, expires),
    )


def first_payloads(connection: Redis, spec: QueueSpec, most: int) -> list[Mapping[str, Any]]:
    """What the first jobs in the queue say, by name. Raises QueueUnavailable."""
    queued = keys_of(spec, "")[0]
    with translated_errors():
        ids = cast(list[bytes], connection.lrange(queued, 0, most - 1))
    found = Registry(connection, queued).fields([id.decode() for id in ids], ["data"])
    return [payload_by_name(spec, data) for (data,) in found]


def other_queues(connection: Redis) -> list[str]:
    """The queues of other RQ applications in this database, by name. Raises QueueUnavailable."""
    prefix = Queue.redis_queue_namespace_prefix
    with translated_errors():
        found = cast(set[bytes], connection.smembers(Queue.redis_queues_keys))
    names = {key.decode(errors="replace").removeprefix(prefix) for key in found}
    return sorted(names - {EVENTS.rq_name, EFFECTS.rq_name})


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
