"""Which events backfill has brought: the timeline says so. Redis has the newest of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from redis import Redis

from app.domain.event import SessionEvent
from app.queue.connection import translated_errors

KEY = "identity:backfilled"
# Events that are remembered: those of years, where webhooks come; a megabyte, where none does.
KEPT = 10_000


def remember_backfilled(redis: Redis, events: Sequence[SessionEvent]) -> None:
    """Remember that backfill has brought these. Raises QueueUnavailable."""
    if not events:
        return
    with translated_errors(), redis.pipeline(transaction=False) as pipeline:
        pipeline.zadd(KEY, {event.id: event.created for event in events})
        pipeline.zremrangebyrank(KEY, 0, -KEPT - 1)
        pipeline.execute()


def backfilled_of(redis: Redis, event_ids: Collection[str]) -> frozenset[str]:
    """Those of the events that backfill is known to have brought. Raises QueueUnavailable."""
    ids = list(event_ids)
    if not ids:
        return frozenset()
    with translated_errors():
        scores = redis.zmscore(KEY, ids)
    return frozenset(id for id, score in zip(ids, scores, strict=True) if score is not None)
