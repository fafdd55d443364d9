"""Take up what lost its worker; bury what kills its workers, unless it is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.effects import RETRIEVE, TO_BE_DONE, effect_id
from app.ledger.ledger import Ledger
from app.logs import get_logger
from app.queue.counts import kind_of_data
from app.queue.model import EVENTS
from app.queue.transitions import MAX_EXPIRIES, RESCUER, JobQueue

log = get_logger("rescue")

REASON = "crashed_worker"


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of the jobs that had lost their worker."""

    queued: int = 0
    completed: int = 0  # their work was committed before the worker died
    buried: int = 0


def rescue(queue: JobQueue, ledger: Ledger, dead_holder: str = "") -> Taken:
    """Queue the jobs whose lease has expired, or whose worker is known to be dead.

    `dead_holder` is the prefix of that worker's lease tokens. A job that has lost its worker too
    often is completed if the ledger has its work, and else buried. Raises QueueUnavailable, and the
    ledger's errors: then nobody can say, and the job is looked at again later.
    """
    found = queue.rescue(dead_holder)
    if not found.suspects:
        return Taken(found.expired)
    done = _done(queue, ledger, [job.id for job in found.suspects])
    over = [job for job in found.suspects if job.id in done]
    kinds = [kind_of_data(job.data) for job in over]
    completed = queue.complete(RESCUER, [job.id for job in over], kinds)
    if completed:
        log.warning("jobs were done though their workers died", job_ids=sorted(done))
    buried = 0
    for job in found.suspects:
        message = f"its worker died or hung {MAX_EXPIRIES} times"
        if job.id not in done and queue.bury(job, REASON, "LeaseExpired", message):
            log.error("job buried", job_id=job.id, reason=REASON, error=message)
            buried += 1
    return Taken(found.expired, completed, buried)


def _done(queue: JobQueue, ledger: Ledger, ids: Sequence[str]) -> set[str]:
    """Those of the jobs whose work the ledger has."""
    if queue.spec.name != EVENTS.name:
        return {id for id in ids if ledger.effect_status(id) not in TO_BE_DONE}
    applied = ledger.has_events(ids)
    # A thin event is done when it has asked for its session.
    thin = (id for id in ids if id not in applied)
    return applied | {id for id in thin if ledger.effect_status(effect_id(id, RETRIEVE))}
