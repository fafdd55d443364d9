"""The dead-letter queue, read: RQ's FailedJobRegistry, kept for ever."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from redis import Redis
from rq.job import Job
from rq.registry import FailedJobRegistry

from app.queue.connection import translated_errors
from app.queue.model import QueueSpec, decode, named

# Jobs read at once: memory stays flat however many letters there are.
PAGE = 500
READ = (Path(__file__).parent / "read.lua").read_text()
# What is read of a job's hash: `data` holds the payload, the others are a letter's own.
FIELDS = (
    "data",
    "reason",
    "error_class",
    "error",
    "attempts",
    "first_failed_at",
    "last_failed_at",
    "description",
)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A job that failed for good, as people read it."""

    id: str
    reason: str
    error_class: str
    error: str
    attempts: int
    first_failed_at: str
    last_failed_at: str
    description: str
    payload: Mapping[str, Any]  # by name; empty if no version of ours can read it


class DeadLetters:
    """The dead letters of one queue."""

    def __init__(self, connection: Redis, spec: QueueSpec) -> None:
        """`connection` is one of `open_redis`."""
        self._connection = connection
        self._spec = spec
        self._key = FailedJobRegistry.key_template.format(spec.name)
        self._script = connection.register_script(READ)

    def __len__(self) -> int:
        """How many there are now."""
        with translated_errors():
            return int(self._connection.zcard(self._key))

    def find(self, id: str) -> DeadLetter | None:
        """One dead letter, or None if there is none of that id."""
        with translated_errors():
            if self._connection.zscore(self._key, id) is None:
                return None
        return next(self._read([id]), None)

    def __iter__(self) -> Iterator[DeadLetter]:
        """All dead letters, newest first, read a page at a time.

        What is buried or replayed meanwhile may be missed or, rarely, seen twice.
        """
        for page in self._pages():
            yield from self._read(page)

    def count_by_reason(self) -> Counter[str]:
        """How many there are of each reason: a third of the time that reading them takes."""
        counts: Counter[str] = Counter()
        for page in self._pages():
            found = self._fields(page, ("reason", "status"))
            counts.update(_reason(reason) for reason, status in found if status is not None)
        return counts

    def _pages(self) -> Iterator[list[str]]:
        """The ids, newest first. By score, as what is replayed meanwhile would shift ranks."""
        bound = "-inf"
        seen_at_bound: set[str] = set()
        while True:
            with translated_errors():
                found = cast(
                    list[tuple[bytes, float]],
                    self._connection.zrange(
                        self._key,
                        cast(Any, bound),
                        cast(Any, "+inf"),
                        byscore=True,
                        withscores=True,
                        offset=0,
                        num=PAGE + len(seen_at_bound),
                    ),
                )
            scored = [(id.decode(), score) for id, score in found]
            page = [(id, score) for id, score in scored if id not in seen_at_bound]
            if not page:
                return
            yield [id for id, _ in page]
            last = page[-1][1]
            at_last = {id for id, score in page if score == last}
            seen_at_bound = at_last | (seen_at_bound if bound == repr(last) else set())
            bound = repr(last)

    def _read(self, ids: Sequence[str]) -> Iterator[DeadLetter]:
        for id, values in zip(ids, self._fields(ids, FIELDS), strict=True):
            if any(value is not None for value in values):  # else the job is gone
                yield _dead_letter(self._spec, id, values)

    def _fields(self, ids: Sequence[str], names: Sequence[str]) -> list[list[bytes | None]]:
        with translated_errors():
            prefix = Job.redis_job_namespace_prefix
            found = self._script([], [prefix, json.dumps(names), *ids])
        return cast(list[list[bytes | None]], found)


def _reason(value: bytes | None) -> str:
    """RQ's own tools can fail a job too; they leave only `exc_info`."""
    return value.decode(errors="replace") if value else "permanent_error"


def _dead_letter(spec: QueueSpec, id: str, values: Sequence[bytes | None]) -> DeadLetter:
    data, reason, *rest = values
    texts = ["" if value is None else value.decode(errors="replace") for value in rest]
    error_class, error, attempts, first_failed_at, last_failed_at, description = texts
    try:
        _, arguments = decode(data or b"")
        payload = named(spec, arguments[0]) if arguments else {}
    except (ValueError, TypeError):
        payload = {}
    return DeadLetter(
        id=id,
        reason=_reason(reason),
        error_class=error_class,
        error=error,
        attempts=int(attempts or 0),
        first_failed_at=first_failed_at,
        last_failed_at=last_failed_at,
        description=description,
        payload=payload,
    )
