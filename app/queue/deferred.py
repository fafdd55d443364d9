"""What waits to be tried again: it has failed, for a reason that passes with time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from redis import Redis
from rq.job import Job
from rq.registry import ScheduledJobRegistry

from app.domain.errors import LaterRelease
from app.queue.connection import translated_errors
from app.queue.model import QueueSpec
from app.queue.registry import Place, Registry, moment_of, payload_by_name, text_of

# Jobs that one summary looks at: a count that says more helps nobody, and takes long.
MAX_COUNTED = 1_000
SUMMARISE = (Path(__file__).parent / "deferred.lua").read_text()
LEFT = "left for a worker of the release that wrote it"
# What is read of a job's hash; `_deferred_job` says which of them is what.
FIELDS = (
    "data",
    "error_class",
    "error",
    "attempts",
    "first_failed_at",
    "last_failed_at",
    "description",
    "enqueued_at",
    "created_at",
)


@dataclass(frozen=True, slots=True)
class DeferredReason:
    """The jobs that wait for one class of error."""

    error_class: str
    count: int
    seconds: float  # since the first of them failed first
    error: str  # what that one says of its last attempt


@dataclass(frozen=True, slots=True)
class DeferredSummary:
    """What waits in one queue to be tried again, the most frequent reason first."""

    reasons: tuple[DeferredReason, ...]
    complete: bool  # False: there are more than MAX_COUNTED, and `reasons` are of some of them

    @property
    def count(self) -> int:
        """How many wait; at least, if the summary is not complete."""
        return sum(reason.count for reason in self.reasons)

    @property
    def seconds(self) -> float:
        """How long ago the first of them failed first; 0 if none waits."""
        return max((reason.seconds for reason in self.reasons), default=0.0)


@dataclass(frozen=True, slots=True)
class DeferredJob:
    """A job that waits to be tried again, as people read it."""

    id: str
    error_class: str
    error: str
    attempts: int
    first_failed_at: str
    last_failed_at: str
    next_try_at: str
    description: str
    payload: Mapping[str, Any]  # by name; empty if no version of ours can read it

    @property
    def reason(self) -> str:
        """Why it waits: the class of its error."""
        return self.error_class


class DeferredJobs:
    """Those of one queue: what RQ calls scheduled, without what is not due for the first time.

    A job is one of them if it has been in the queue before. One that has not failed there was left
    by a worker of an earlier release than the one that wrote it.
    """

    def __init__(self, connection: Redis, spec: QueueSpec) -> None:
        """`connection` is one of `open_redis`."""
        self._spec = spec
        self._connection = connection
        key = ScheduledJobRegistry.key_template.format(spec.rq_name)
        self._registry = Registry(connection, key)
        self._summarise = connection.register_script(SUMMARISE)

    def summarise(self) -> DeferredSummary:
        """How many wait, why and since when, in one round trip of bounded time.

        Raises QueueUnavailable.
        """
        with translated_errors():
            given: list[str | int] = [Job.redis_job_namespace_prefix, MAX_COUNTED // 2]
            time, size, found = self._summarise([self._registry.key], given)
        now = int(time[0]) + int(time[1]) / 1_000_000
        reasons = [_reason(*values, now=now) for values in found]
        reasons.sort(key=lambda reason: (-reason.count, reason.error_class))
        return DeferredSummary(tuple(reasons), complete=size <= MAX_COUNTED)

    def find(self, id: str) -> DeferredJob | None:
        """One job; None if none of that id waits. Raises QueueUnavailable."""
        score = self._registry.score(id)
        return None if score is None else next(self._read([(id, score)]), None)

    def page(self, after: Place | None, most: int) -> list[tuple[Place, DeferredJob | None]]:
        """The next `most` after a place, the next to be tried first. Raises QueueUnavailable.

        None beside one whose job is gone, or not due for the first time.
        """
        places = self._registry.after(after, most)
        found = self._registry.fields([place.id for place in places], FIELDS)
        return [
            (place, _deferred_job(self._spec, place.id, place.score, values))
            for place, values in zip(places, found, strict=True)
        ]

    def __iter__(self) -> Iterator[DeferredJob]:
        """All of them, the next to be tried first, read a page at a time. Raises QueueUnavailable.

        Each once, though it be tried and deferred again meanwhile: to try all of them now must not
        go on until they are dead.
        """
        seen: set[str] = set()
        for page in self._registry.pages():
            yield from self._read([one for one in page if one[0] not in seen])
            seen.update(id for id, _ in page)

    def _read(self, page: Sequence[tuple[str, float]]) -> Iterator[DeferredJob]:
        found = self._registry.fields([id for id, _ in page], FIELDS)
        for (id, due), values in zip(page, found, strict=True):
            job = _deferred_job(self._spec, id, due, values)
            if job is not None:
                yield job


def _reason(
    error_class: bytes, count: int, since: bytes, error: bytes, *, now: float
) -> DeferredReason:
    name = text_of(error_class)
    seconds = max(0.0, now - moment_of(text_of(since), now))
    if not name:
        return DeferredReason(LaterRelease.__name__, count, seconds, LEFT)
    return DeferredReason(name, count, seconds, text_of(error))


def _deferred_job(
    spec: QueueSpec, id: str, due: float, values: Sequence[bytes | None]
) -> DeferredJob | None:
    """None of a job that is gone, or not due for the first time."""
    data, *rest = values
    error_class, error, attempts, first, last, description, enqueued, created = map(text_of, rest)
    if not (first or enqueued):
        return None
    return DeferredJob(
        id=id,
        error_class=error_class or LaterRelease.__name__,
        error=error or ("" if error_class else LEFT),
        attempts=int(attempts or 0),
        first_failed_at=first or created,
        last_failed_at=last or enqueued,
        next_try_at=datetime.fromtimestamp(due, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        description=description,
        payload=payload_by_name(spec, data),
    )
