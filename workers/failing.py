"""What becomes of a job that failed: deferred or buried, as the retry policy says, or left."""

from __future__ import annotations

from collections.abc import Callable

from rq.timeouts import JobTimeoutException

from app.domain.errors import LaterRelease, StoreFailure, Transient
from app.logs import get_logger
from app.queue.model import Claimed
from app.queue.retry_policy import Bury, decide, describe
from app.queue.transitions import JobQueue
from app.telemetry import bugs
from app.tracebacks import scrubbed

log = get_logger("worker")

# Seconds, more or less, until a job that a later release wrote is offered again: an upgrade may
# take minutes, and a worker of an older release must not spend its time on handing jobs on.
LEFT_FOR = 30.0


class Failing:
    """Ends jobs that failed."""

    def __init__(
        self,
        jobs: JobQueue,
        chance: Callable[[], float],
        bare: Callable[[bytes], bytes],
    ) -> None:
        """`chance` spreads retries. `bare(data)` is what a job keeps of its data; b"" for all."""
        self._jobs = jobs
        self._chance = chance
        self._bare = bare

    def end(self, job: Claimed, error: Exception) -> None:
        """Defer or bury a job that failed by `error`. Raises QueueUnavailable."""
        if isinstance(error, LaterRelease):
            wait = LEFT_FOR * (0.5 + self._chance())
            self._jobs.leave(job, wait)
            log.warning(
                "job left for a later release",
                job_id=job.id,
                retry_in_seconds=round(wait, 1),
                error=str(error),
            )
            return
        late = self._jobs.timeouts_of(job.id) if isinstance(error, JobTimeoutException) else 0
        decision = decide(error, job.attempts, self._chance(), late)
        error_class, message = describe(error)
        told = {"job_id": job.id, "error_class": error_class, "error": message}
        bare = self._bare(job.data)
        if isinstance(decision, Bury):
            self._jobs.bury(job, decision.reason, error_class, message, bare, _traceback(error))
            log.error("job buried", reason=decision.reason, **told)
            bugs.report(error, job_id=job.id)
        else:
            self._jobs.retry_later(
                job, decision.delay, error_class, message, bare, timed_out=decision.timed_out
            )
            log.warning("job deferred", retry_in_seconds=round(decision.delay, 1), **told)


def _traceback(error: Exception) -> str:
    """Where it came from. A store that was away is no matter of code, and may concern many jobs."""
    away = isinstance(error, StoreFailure) and isinstance(error, Transient)
    return "" if away else scrubbed(error)
