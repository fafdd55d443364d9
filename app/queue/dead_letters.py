"""The dead-letter queue, read: RQ's FailedJobRegistry, kept for ever."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from redis import Redis
from rq.job import Job
from rq.registry import FailedJobRegistry

from app.queue.connection import translated_errors
from app.queue.model import QueueName, decode

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
    payload: Mapping[str, Any]


class DeadLetters:
    """The dead letters of one queue."""

    def __init__(self, connection: Redis, queue: QueueName) -> None:
        """`connection` is one of `open_redis`."""
        self._connection = connection
        self._key = FailedJobRegistry.key_template.format(queue.name)
        self._script = connection.register_script(READ)

    def __len__(self) -> int:
        """How many there are now."""
        with translated_errors():
            return int(self._connection.zcard(self._key))

    def find(self, id: str) -> DeadLetter | None:
        """One dead letter, or None where there is none of that id."""
        with translated_errors():
            if self._connection.zscore(self._key, id) is None:
                return None
        return next(self._read([id]), None)

    def __iter__(self) -> Iterator[DeadLetter]:
        """All dead letters, newest first, read a page at a time.

        What is buried or replayed meanwhile may be missed or, rarely, seen twice.
        """
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
                page = [(i.decode(), s) for i, s in found if i.decode() not in seen_at_bound]
                if not page:
                    return
                yield from self._read(id for id, _ in page)
            last = page[-1][1]
            at_last = {id for id, score in page if score == last}
            seen_at_bound = at_last | (seen_at_bound if bound == repr(last) else set())
            bound = repr(last)

    def _read(self, ids: Iterable[str]) -> Iterator[DeadLetter]:
        ids = list(ids)
        with translated_errors():
            answers = self._script([], [Job.redis_job_namespace_prefix, json.dumps(FIELDS), *ids])
        for id, values in zip(ids, cast(list[list[bytes | None]], answers), strict=True):
            if any(value is not None for value in values):  # else the job is gone
                yield _dead_letter(id, values)


def _dead_letter(id: str, values: Sequence[bytes | None]) -> DeadLetter:
    data, *rest = values
    texts = ["" if value is None else value.decode(errors="replace") for value in rest]
    reason, error_class, error, attempts, first_failed_at, last_failed_at, description = texts
    try:
        _, arguments = decode(data or b"")
        payload = arguments[0] if arguments and isinstance(arguments[0], dict) else {}
    except (ValueError, TypeError):
        payload = {}
    return DeadLetter(
        id=id,
        # RQ's own tools can fail a job too; they leave only `exc_info`.
        reason=reason or "permanent_error",
        error_class=error_class,
        error=error,
        attempts=int(attempts or 0),
        first_failed_at=first_failed_at,
        last_failed_at=last_failed_at,
        description=description,
        payload=payload,
    )
