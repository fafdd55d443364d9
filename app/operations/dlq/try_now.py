"""Try what is deferred now, without waiting for what becomes of it: as the console does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.batches import batches
from app.operations.dlq.listing import find
from app.operations.dlq.selection import Selection
from app.queue.deferred import DeferredJobs
from app.queue.transitions import JobQueue
from app.stores import Stores

BATCH_SIZE = 100
# Jobs that one call puts into the queue: more would keep whoever asked waiting.
MAX_TRIED = 1_000
# Jobs that are read to find those: a second's work.
MAX_READ = 20_000


@dataclass(frozen=True, slots=True)
class TriedNow:
    """What was put into the queue, ahead of its time."""

    tried: int
    more: bool  # whether others match that were not put there


def try_selected(stores: Stores, queue: str, ids: Sequence[str]) -> TriedNow:
    """Put these jobs into the queue; one that does not wait to be tried again is left alone.

    Raises LedgerUnavailable while the ledger is away: each would fail once more.
    """
    stores.ledger.ping()
    waiting = stores.deferred(queue)
    return TriedNow(_promote(stores.queue(queue), _still(waiting, ids)), more=False)


def try_matching(stores: Stores, queue: str, selection: Selection, now: float) -> TriedNow:
    """Put the first MAX_TRIED that match into the queue. `now` is in Unix seconds.

    Raises LedgerUnavailable while the ledger is away: each would fail once more.
    """
    stores.ledger.ping()
    found = find(
        stores.deferred(queue), selection, now, after=None, limit=MAX_TRIED, most_looked=MAX_READ
    )
    ids = [job.id for job in found.jobs]
    return TriedNow(_promote(stores.queue(queue), ids), more=found.next is not None)


def _still(waiting: DeferredJobs, ids: Sequence[str]) -> list[str]:
    # What is due later for the first time is scheduled as well, and must not be done early.
    return [id for id in ids if waiting.find(id) is not None]


def _promote(queue: JobQueue, ids: Sequence[str]) -> int:
    return sum(queue.promote(batch) for batch in batches(ids, BATCH_SIZE))
