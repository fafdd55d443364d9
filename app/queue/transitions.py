"""The transitions of a job. Each is one atomic script, so a job is always in exactly one place."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

from redis import Redis
from redis import asyncio as redis_asyncio
from redis.exceptions import OutOfMemoryError, ResponseError
from rq.job import Job

from app.batches import batches
from app.domain.errors import IdentityError, JobRefused
from app.logs import get_logger
from app.queue.connection import translated_errors
from app.queue.model import MAX_BATCH, Claimed, NewJob, QueueSpec, Rescued, encode, keys_of

# A completed job stays for an hour: a second delivery in that time is answered without SQL.
KEEP_FINISHED = 3600
# A job whose worker died this often is what kills it.
MAX_EXPIRIES = 3
# One `rescue` or `promote` moves at most this many, so that no script blocks Redis for long.
MAX_MOVED = 500
# Seconds an idle worker waits in Redis for a job; well under the socket's timeout.
WAIT = 2

# What becomes of a job that Redis does not take, though it takes others.
REFUSED = "refused"

log = get_logger("queue")

_FOLDER = Path(__file__).parent
_PRELUDE = (_FOLDER / "prelude.lua").read_text()


def _script(name: str) -> str:
    """A script's text with the prelude after its first line, which Redis reads as its flags."""
    flags, _, rest = (_FOLDER / f"{name}.lua").read_text().partition("\n")
    return f"{flags}\n{_PRELUDE}\n{rest}"


SCRIPTS = {
    name: _script(name)
    for name in (
        "enqueue",
        "claim",
        "complete",
        "retry_later",
        "bury",
        "release",
        "rescue",
        "promote",
        "replay",
        "discard",
        "rewrite",
    )
}


def _resent(spec: QueueSpec) -> str:
    """The status from which a second `enqueue` puts a job back."""
    return "failed" if spec.resend_revives else ""


def _enqueue_arguments(spec: QueueSpec, jobs: Sequence[NewJob], revives: str) -> list[Any]:
    """What `enqueue.lua` takes after the prefix that all scripts take."""
    arguments: list[Any] = [spec.name, spec.time_limit, revives]
    for job in jobs:
        arguments += (job.id, encode(spec.function, job.payload), job.description, job.delay)
    return arguments


def _outcome(answer: bytes | ResponseError) -> str | IdentityError:
    """What became of one job of an `enqueue`."""
    if isinstance(answer, bytes):
        return answer.decode()
    # Its text may quote a key, and so an id, and nothing of the job.
    return JobRefused(f"Redis refuses the job: {str(answer)[:80]}")


class AsyncJobQueue:
    """The web process' side: it only accepts."""

    def __init__(self, connection: redis_asyncio.Redis, spec: QueueSpec) -> None:
        """`connection` belongs to the running event loop."""
        self._connection = connection
        self._spec = spec
        self._keys = keys_of(spec, "")
        self._enqueue = connection.register_script(SCRIPTS["enqueue"])

    async def enqueue_all(self, jobs: Sequence[NewJob]) -> list[str | IdentityError]:
        """Take jobs in one round trip, each by itself: `enqueued`, `duplicate`, `replayed`.

        A job that Redis refuses gives its error, JobRefused, in its place. Raises QueueUnavailable,
        and then each job may or may not have been taken. At most MAX_BATCH jobs.
        """
        with translated_errors():
            arguments = _enqueue_arguments(self._spec, jobs, _resent(self._spec))
            answers = await self._enqueue(self._keys, [Job.redis_job_namespace_prefix, *arguments])
        return [_outcome(answer) for answer in cast(list[Any], answers)]

    async def ping(self) -> None:
        """Raises QueueUnavailable if Redis cannot be reached."""
        with translated_errors():
            await self._connection.ping()


class JobQueue:
    """Every transition, for workers, the clock and operators."""

    def __init__(self, connection: Redis, spec: QueueSpec, worker_name: str = "") -> None:
        """`worker_name` is RQ's name of the worker that claims, "" for all others."""
        self.connection = connection
        self.spec = spec
        self.worker_name = worker_name
        self._keys = keys_of(spec, worker_name)
        self._scripts = {name: connection.register_script(text) for name, text in SCRIPTS.items()}

    def _run(self, name: str, *arguments: Any) -> Any:
        with translated_errors():
            return self._scripts[name](self._keys, [Job.redis_job_namespace_prefix, *arguments])

    def enqueue(self, job: NewJob) -> str:
        """Take one job: `enqueued`, `duplicate`, `replayed` or `refused`."""
        return self.enqueue_all([job])[0]

    def enqueue_all(self, jobs: Iterable[NewJob]) -> list[str]:
        """Take jobs, MAX_BATCH a round trip; each is taken or not by itself.

        One that Redis refuses, as something else stands under its key, is `refused`, and is logged.
        Raises QueueUnavailable.
        """
        return self._enqueue(jobs, _resent(self.spec))

    def enqueue_missing(self, jobs: Iterable[NewJob]) -> list[str]:
        """Take jobs whose work the ledger lacks, as `enqueue_all` does, but leave the dead dead.

        A finished one is run again: the ledger it was finished for has been lost since.
        """
        return self._enqueue(jobs, "finished")

    def _enqueue(self, jobs: Iterable[NewJob], revives: str) -> list[str]:
        outcomes: list[str] = []
        for batch in batches(jobs, MAX_BATCH):
            answers = self._run("enqueue", *_enqueue_arguments(self.spec, batch, revives))
            for job, answer in zip(batch, cast(list[Any], answers), strict=True):
                outcome = _outcome(answer)
                if isinstance(outcome, IdentityError):
                    log.error("job refused", job=job.id, error=str(outcome))
                    outcome = REFUSED
                outcomes.append(outcome)
        return outcomes

    def claim(self, token: str, lease: float, most: int) -> list[Claimed]:
        """Take up to `most` queued jobs under one lease of `lease` seconds, named by `token`."""
        found = self._run("claim", token, lease, most, self.worker_name)
        return [Claimed(id.decode(), data, int(attempts), token) for id, data, attempts in found]

    def complete(self, token: str, ids: Sequence[str]) -> int:
        """Finish jobs whose work is committed; returns how many were still ours."""
        empty = encode(self.spec.function)
        return int(self._run("complete", token, KEEP_FINISHED, empty, *ids)) if ids else 0

    def retry_later(self, job: Claimed, delay: float, error_class: str, message: str) -> bool:
        """Try the job again after `delay` seconds. False if the lease was lost."""
        return bool(self._run("retry_later", job.token, job.id, delay, error_class, message))

    def bury(self, job: Claimed, reason: str, error_class: str, message: str) -> bool:
        """Put the job to the dead letters. False if the lease was lost."""
        return bool(self._run("bury", job.token, job.id, reason, error_class, message))

    def release(self, token: str, ids: Sequence[str]) -> int:
        """Put jobs that were claimed but not begun back to the front of the queue."""
        return int(self._run("release", token, *ids)) if ids else 0

    def rescue(self, dead_holder: str = "") -> Rescued:
        """Queue the jobs whose lease has expired; bury those that kill their workers.

        `dead_holder` is the prefix of the lease tokens of a worker that is known to be dead: its
        jobs need not wait for their leases to end.
        """
        return Rescued(*self._run("rescue", MAX_MOVED, MAX_EXPIRIES, dead_holder))

    def promote(self) -> int:
        """Queue the scheduled jobs that are due; returns how many."""
        return int(self._run("promote", MAX_MOVED))

    def replay(self, ids: Sequence[str]) -> int:
        """Queue dead letters again, their attempts reset; returns how many were dead."""
        return int(self._run("replay", *ids)) if ids else 0

    def discard(self, ids: Sequence[str]) -> int:
        """Remove dead letters for good; returns how many were dead."""
        return int(self._run("discard", *ids)) if ids else 0

    def statuses(self, ids: Sequence[str]) -> dict[str, str | None]:
        """Where each job is, in RQ's words; None if it is no longer in Redis."""
        with translated_errors(), self.connection.pipeline(transaction=False) as pipeline:
            for id in ids:
                pipeline.hget(Job.redis_job_namespace_prefix + id, "status")
            found = pipeline.execute()
        return {
            id: status.decode() if status else None for id, status in zip(ids, found, strict=True)
        }

    def rewrite(self, id: str, payload: list[Any]) -> bool:
        """Replace a dead letter's payload. False if it is no longer dead."""
        return bool(self._run("rewrite", id, encode(self.spec.function, payload)))

    def wait(self, seconds: int = WAIT) -> bool:
        """Wait until a job is queued, for `seconds` at most; takes nothing.

        The head of the list is moved onto itself: a wait that changes no state, so a worker
        may die in it.
        """
        with translated_errors():
            queue = self._keys[0]
            try:
                return self.connection.blmove(queue, queue, seconds, "LEFT", "LEFT") is not None
            except OutOfMemoryError:
                # A full Redis refuses even this, but not a claim, and claims are what empties it.
                if self.connection.llen(queue):
                    return True
                time.sleep(seconds)
                return False
