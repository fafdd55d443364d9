"""Enqueue committed effects: at once, or by the clock if Redis is away."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.effects import QUEUED_AHEAD, PendingEffect
from app.domain.errors import QueueUnavailable
from app.ledger.ledger import Ledger
from app.logs import get_logger
from app.queue.model import effect_job
from app.queue.transitions import JobQueue

log = get_logger("effects")

BATCH_SIZE = 500


def enqueue_effects(effects: Sequence[PendingEffect], queue: JobQueue, now: float) -> bool:
    """Enqueue committed effects; `now` is in Unix seconds.

    False if Redis is away: they are in the ledger, and the clock enqueues them when it is back.
    """
    soon = _due_soon(effects, now)
    if not soon:
        return True
    try:
        queue.enqueue_all([effect_job(effect, now) for effect in soon])
    except QueueUnavailable as failure:
        log.warning("effects wait in the ledger", effect_count=len(soon), error=str(failure))
        return False
    return True


def enqueue_and_mark(
    effects: Sequence[PendingEffect], queue: JobQueue, ledger: Ledger, now: float
) -> None:
    """Enqueue effects, and record that the queue has them. Raises QueueUnavailable."""
    soon = _due_soon(effects, now)
    if soon:
        queue.enqueue_all([effect_job(effect, now) for effect in soon])
        ledger.mark_enqueued([effect.id for effect in soon], int(now))


def _due_soon(effects: Sequence[PendingEffect], now: float) -> list[PendingEffect]:
    """Without those that wait in the ledger, until the clock finds that their time has come."""
    return [effect for effect in effects if effect.due <= now + QUEUED_AHEAD]


def enqueue_unsent(
    queue: JobQueue, ledger: Ledger, *, before: int, overdue: int = 0, now: float
) -> int:
    """Enqueue a batch of effects that no queue may hold; see `Ledger.effects_due_unsent`.

    Returns how many there were. Raises QueueUnavailable and the ledger's errors.
    """
    effects = ledger.effects_due_unsent(before, BATCH_SIZE, overdue=overdue)
    enqueue_and_mark(effects, queue, ledger, now)
    return len(effects)
