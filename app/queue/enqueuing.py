"""The way into a queue: what `enqueue.lua` is given and answers; how the web process calls it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from redis import asyncio as redis_asyncio
from redis.exceptions import NoPermissionError, NoScriptError, ResponseError
from rq.job import Job

from app.domain.errors import IdentityError, JobRefused
from app.queue.connection import translated_call
from app.queue.failures import failure
from app.queue.model import NewJob, QueueSpec, encode, keys_of
from app.queue.scripts import SCRIPTS
from app.queue.serving import place_of_client

# What becomes of a job that Redis does not take, though it takes others.
REFUSED = "refused"
FOREIGN = (
    "a job of another RQ application in this Redis database has the same id: "
    "give one of the two a database of its own"
)


def resent(spec: QueueSpec) -> str:
    """The status from which a second `enqueue` puts a job back."""
    return "failed" if spec.resend_revives else ""


def enqueue_arguments(
    spec: QueueSpec, jobs: Sequence[NewJob], revives: str, *, deliveries: bool = False
) -> list[Any]:
    """What `enqueue.lua` takes after the prefix that all scripts take.

    `deliveries` of Stripe's are counted for the metrics.
    """
    arguments: list[Any] = [spec.rq_name, spec.time_limit, revives, int(deliveries)]
    for job in jobs:
        arguments += (job.id, encode(spec.function, job.payload), job.description, job.delay)
    return arguments


def outcome_of(answer: bytes | ResponseError) -> str | IdentityError:
    """What became of one job of an `enqueue`."""
    if answer == b"foreign":
        return JobRefused(FOREIGN)
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
        and then each job may or may not have been taken, and QueueRefused. At most MAX_BATCH jobs.
        """
        async with translated_call(self._connection):
            revives = resent(self._spec)
            arguments = enqueue_arguments(self._spec, jobs, revives, deliveries=True)
            given = (len(self._keys), *self._keys, Job.redis_job_namespace_prefix, *arguments)
            try:
                answers = await self._connection.evalsha(self._enqueue.sha, *given)
            except NoScriptError:  # see `JobQueue._run`
                answers = await self._connection.eval(SCRIPTS["enqueue"], *given)
        return [outcome_of(answer) for answer in cast(list[Any], answers)]

    async def check(self) -> None:
        """Raises QueueUnavailable or QueueRefused if Redis would not take a delivery.

        It runs the same script without a job, which a full server refuses, and one that cannot
        write. A replica may take it, but what it takes is lost with its next copy of its primary.
        """
        await self.enqueue_all([])
        async with translated_call(self._connection):
            try:
                found = await self._connection.info("replication")
            except NoPermissionError:  # of INFO; nothing else needs it here
                return
        if found.get("role") != "master":
            raise failure("replica", place_of_client(self._connection))
