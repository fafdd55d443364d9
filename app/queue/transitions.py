"""The transitions of a job. Each is one atomic script, so a job is always in exactly one place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

from redis import Redis
from redis.exceptions import NoScriptError
from rq.job import Job

from app.batches import batches
from app.domain.errors import IdentityError
from app.logs import get_logger
from app.queue.connection import translated_errors
from app.queue.counts import LAG_BOUNDS_TEXT, UNKNOWN, Kind, Tally, encode_kinds, kind_of_data
from app.queue.enqueuing import REFUSED, enqueue_arguments, outcome_of, resent
from app.queue.job_fields import JobFields
from app.queue.model import (
    MAX_BATCH,
    NOTHING,
    Claimed,
    NewJob,
    QueueSpec,
    Rescued,
    failed_result,
    keys_of,
)
from app.queue.scripts import SCRIPTS

# A completed job stays for an hour: a second delivery in that time is answered without SQL.
KEEP_FINISHED = 3600
# A job whose worker died this often is what kills it.
MAX_EXPIRIES = 3
# Its lease token while the ledger is asked whether it is done, and the seconds for that.
RESCUER, RESCUE_LEASE = "rescuer", 60
# One `rescue` or `promote` moves at most this many, so that no script blocks Redis for long.
MAX_MOVED = 500
# Seconds an idle worker waits in Redis for a job; well under the socket's timeout.
WAIT = 2

log = get_logger("queue")


def _claimed(found: Any, token: str) -> list[Claimed]:
    return [
        Claimed(id.decode(), data, int(attempts), token, *(span.decode() for span in spans))
        for id, data, attempts, *spans in found
    ]


class JobQueue:
    """Every transition, for workers, the clock and operators."""

    def __init__(
        self,
        connection: Redis,
        spec: QueueSpec,
        worker_name: str = "",
        tally: Tally | None = None,
    ) -> None:
        """`worker_name` is RQ's name of the worker that claims, "" for all others.

        What is in `tally` goes along with the next call that ends a job.
        """
        self.connection = connection
        self.spec = spec
        self.worker_name = worker_name
        self.tally = tally if tally is not None else Tally()
        self._keys = keys_of(spec, worker_name)
        self._fields = JobFields(connection)
        *_, self._by_session, self._idle, wake = self._keys
        self._wake = wake + worker_name
        self._scripts = {name: connection.register_script(text) for name, text in SCRIPTS.items()}

    def of_worker(self, name: str) -> JobQueue:
        """The same queue, for the claims of this worker."""
        return JobQueue(self.connection, self.spec, name, self.tally)

    def _run(self, name: str, *arguments: Any) -> Any:
        given = (len(self._keys), *self._keys, Job.redis_job_namespace_prefix, *arguments)
        with translated_errors():
            try:
                return self.connection.evalsha(self._scripts[name].sha, *given)
            except NoScriptError:
                # Not loaded first and then called: between the two, the primary may have changed.
                return self.connection.eval(SCRIPTS[name], *given)

    def enqueue(self, job: NewJob) -> str:
        """Take one job: `enqueued`, `duplicate`, `replayed` or `refused`."""
        return self.enqueue_all([job])[0]

    def enqueue_all(self, jobs: Iterable[NewJob]) -> list[str]:
        """Take jobs, MAX_BATCH a round trip; each is taken or not by itself.

        One that Redis refuses, as something else stands under its key, is `refused`, and is logged.
        Raises QueueUnavailable.
        """
        return self._enqueue(jobs, resent(self.spec))

    def enqueue_absent(self, jobs: Iterable[NewJob]) -> list[str]:
        """Take jobs, as `enqueue_all` does, of which Redis holds nothing; the others stay."""
        return self._enqueue(jobs, "")

    def enqueue_missing(self, jobs: Iterable[NewJob]) -> list[str]:
        """Take jobs whose work the ledger lacks, as `enqueue_all` does, but leave the dead dead.

        A finished one is run again: the ledger it was finished for has been lost since.
        """
        return self._enqueue(jobs, "finished")

    def _enqueue(self, jobs: Iterable[NewJob], revives: str) -> list[str]:
        outcomes: list[str] = []
        for batch in batches(jobs, MAX_BATCH):
            answers = self._run("enqueue", *enqueue_arguments(self.spec, batch, revives))
            for job, answer in zip(batch, cast(list[Any], answers), strict=True):
                outcome = outcome_of(answer)
                if isinstance(outcome, IdentityError):
                    log.error("job refused", job_id=job.id, error=str(outcome))
                    outcome = REFUSED
                outcomes.append(outcome)
        return outcomes

    def claim(self, token: str, lease: float, most: int, *, waits: bool = False) -> list[Claimed]:
        """Take up to `most` queued jobs under one lease of `lease` seconds, named by `token`.

        A worker that heard no answer asks again by the same token, and is given what it took. One
        that `waits` if there is none is woken when a job comes.
        """
        found = self._run("claim", token, lease, most, self.worker_name, int(waits))
        return _claimed(found, token)

    def complete(self, token: str, ids: Sequence[str], kinds: Sequence[Kind] = ()) -> int:
        """Finish jobs whose work is committed; returns how many were still ours.

        `kinds` are those of the jobs, in their order, for the metrics.
        """
        if not ids:
            return 0
        told = encode_kinds(kinds or [UNKNOWN] * len(ids))
        counted = (LAG_BOUNDS_TEXT, self.tally.take(), told)
        return int(self._run("complete", token, KEEP_FINISHED, NOTHING, *counted, *ids))

    def retry_later(
        self,
        job: Claimed,
        delay: float,
        error_class: str,
        message: str,
        data: bytes = b"",
        *,
        timed_out: bool = False,
    ) -> bool:
        """Try the job again after `delay` seconds. False if the lease was lost.

        `data` replaces what the job calls, as `encode` writes it. `timed_out` counts a timeout.
        """
        told = (error_class, message, data, int(timed_out), *self._counted(job))
        return bool(self._run("retry_later", job.token, job.id, delay, *told))

    def timeouts_of(self, id: str) -> int:
        """How often the job took too long since it was enqueued or replayed."""
        with translated_errors():
            found: Any = self.connection.hget(Job.redis_job_namespace_prefix + id, "timeouts")
        return int(found or 0)

    def bury(
        self,
        job: Claimed,
        reason: str,
        error_class: str,
        message: str,
        data: bytes = b"",
        traceback: str = "",
    ) -> bool:
        """Put the job to the dead letters. False if the lease was lost.

        `data` replaces what the job calls, as `encode` writes it. `traceback` is for people.
        """
        told = (reason, error_class, message, data, *self._counted(job))
        text = f"{reason}: {error_class}: {message}"
        result = failed_result(text, self.worker_name, traceback)
        return bool(self._run("bury", job.token, job.id, *told, *result))

    def _counted(self, job: Claimed) -> tuple[str, bytes, str]:
        """What is counted of a job that failed, whatever else waits to be, and its span."""
        return kind_of_data(job.data).name, self.tally.take(), self._failed_span(job)

    def _failed_span(self, job: Claimed) -> str:
        """What its next attempt links to; "" where nothing is recorded."""
        return ""

    def release(self, token: str, ids: Sequence[str]) -> int:
        """Put jobs that were claimed but not begun back to the front of the queue."""
        return int(self._run("release", token, *ids)) if ids else 0

    def leave(self, job: Claimed, delay: float) -> bool:
        """Have a job that a later release wrote wait for a worker of that release.

        For `delay` seconds; then it is queued again, as it was. False if the lease was lost.
        """
        return bool(self._run("leave", job.token, job.id, delay))

    def rescue(self, dead_holder: str = "") -> Rescued:
        """Queue the jobs whose lease has expired, and hold those that kill their workers.

        `dead_holder` is the prefix of the lease tokens of a worker that is known to be dead: its
        jobs need not wait for their leases to end. What is held, under the token RESCUER, has to be
        completed or buried, and is rescued again where that takes too long.
        """
        told = (MAX_MOVED, MAX_EXPIRIES, dead_holder, RESCUER, RESCUE_LEASE)
        expired, suspects = self._run("rescue", *told)
        return Rescued(expired, tuple(_claimed(suspects, RESCUER)))

    def promote(self, ids: Sequence[str] = ()) -> int:
        """Queue the scheduled jobs that are due, or these, due or not; returns how many."""
        return int(self._run("promote", MAX_MOVED, *ids))

    def replay(self, ids: Sequence[str]) -> int:
        """Queue dead letters again, their attempts reset; returns how many were dead."""
        return int(self._run("replay", *ids)) if ids else 0

    def discard(self, ids: Sequence[str]) -> int:
        """Remove dead letters for good; returns how many were dead."""
        return int(self._run("discard", *ids)) if ids else 0

    def statuses(self, ids: Sequence[str]) -> dict[str, str | None]:
        """Where each job is, in RQ's words; None if it is no longer in Redis."""
        found = zip(ids, self._fields.read(ids, ["status"]), strict=True)
        return {id: status.decode() if status else None for id, (status,) in found}

    def held_of(self, session_ids: Sequence[str]) -> dict[str, bytes]:
        """The jobs of sessions that are dead or scheduled: what each calls, by its id."""
        with translated_errors(), self.connection.pipeline(transaction=False) as pipeline:
            for session_id in session_ids:
                pipeline.smembers(self._by_session + session_id)
            found = pipeline.execute()
        return self.calls_of(sorted(id.decode() for ids in found for id in ids))

    def calls_of(self, ids: Sequence[str]) -> dict[str, bytes]:
        """What each job calls, by its id; those that are gone are left out."""
        found = zip(ids, self._fields.read(ids, ["data"]), strict=True)
        return {id: data for id, (data,) in found if data is not None}

    def rewrite(self, id: str, data: bytes) -> bool:
        """Replace what a job calls. False if it is neither dead nor scheduled any more."""
        return bool(self._run("rewrite", id, data))

    def wait(self, seconds: int = WAIT) -> bool:
        """Wait for a job that wakes this worker, for `seconds` at most; takes none.

        Its last claim has said that it waits.
        """
        with translated_errors():
            return self.connection.blpop([self._wake], seconds) is not None

    def stop_waiting(self) -> None:
        """This worker is to be woken no more."""
        with translated_errors():
            self.connection.lrem(self._idle, 0, self.worker_name)
