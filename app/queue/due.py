"""Whether anything is due in queues: one round trip for all, where almost always nothing is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis

from app.queue.backlog import FAR
from app.queue.connection import translated_errors
from app.queue.model import QueueSpec, keys_of


@dataclass(frozen=True, slots=True)
class Due:
    """What of one queue is to be looked at now, by Redis' clock."""

    leases: bool  # one has expired: `JobQueue.rescue`
    jobs: bool  # one that was scheduled is due: `JobQueue.promote`


def read_due(connection: Redis, specs: Sequence[QueueSpec]) -> list[Due]:
    """Look at these queues. Raises QueueUnavailable.

    Where Redis refuses to look into one, that is to be looked at too: it will say why.
    """
    with translated_errors(), connection.pipeline(transaction=False) as pipeline:
        pipeline.time()
        for spec in specs:
            _, _, started, scheduled, *_ = keys_of(spec, "")
            pipeline.zrange(started, 0, 0, withscores=True)
            pipeline.zrange(scheduled, 0, 0, withscores=True)
        (seconds, microseconds), *first = pipeline.execute(raise_on_error=False)
    now = seconds + microseconds / 1_000_000
    return [
        Due(_reached(lease, now + FAR), _reached(job, now))
        for lease, job in zip(first[::2], first[1::2], strict=True)
    ]


def _reached(first: Any, score: float) -> bool:
    """`first` is the least member with its score, if there is any, or an error."""
    return isinstance(first, Exception) or any(found <= score for _, found in first)
