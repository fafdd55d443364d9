"""One of RQ's registries of a queue, read a page at a time, and its jobs' fields."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, cast

from redis import Redis
from rq.job import Job

from app.domain.errors import LaterRelease
from app.queue.connection import translated_errors
from app.queue.job_fields import JobFields
from app.queue.model import EFFECTS, EVENTS, QueueSpec, decode, named

# Jobs read at once: memory stays flat however many there are.
PAGE = 500
QUEUES = {spec.rq_name: spec.name for spec in (EVENTS, EFFECTS)}


class Place(NamedTuple):
    """Where a job stands in a registry: what comes after it is asked for by this."""

    score: float
    id: str


class Registry:
    """A sorted set of job ids. Every method raises QueueUnavailable."""

    def __init__(self, connection: Redis, key: str) -> None:
        """`connection` is one of `open_redis`; `key` is the registry's."""
        self.connection = connection
        self.key = key
        self.fields = JobFields(connection).read

    def __len__(self) -> int:
        """How many there are now."""
        with translated_errors():
            return int(self.connection.zcard(self.key))

    def score(self, id: str) -> float | None:
        """The job's score; None if it is not in here."""
        with translated_errors():
            return self.connection.zscore(self.key, id)

    def after(self, place: Place | None, most: int) -> list[Place]:
        """The next `most` places after this one, the least score first; None: the first of all."""
        if place is None:
            return [Place(score, id) for id, score in self._from("-inf", most)]
        asked = most + 1
        while True:
            found = self._from(repr(place.score), asked)
            rest = [here for id, score in found if (here := Place(score, id)) > place]
            if len(rest) >= most or len(found) < asked:
                return rest[:most]
            asked *= 2  # many stand at this score

    def count_from(self, bound: float) -> int:
        """How many have this score or a greater one."""
        with translated_errors():
            return int(self.connection.zcount(self.key, cast(Any, repr(bound)), "+inf"))

    def pages(self, start: float = -math.inf) -> Iterator[list[tuple[str, float]]]:
        """The ids with their scores, the least first, from `start`.

        By score: what leaves would shift ranks. What comes or goes meanwhile may be missed or,
        rarely, seen twice.
        """
        bound = repr(start)
        seen_at_bound: set[str] = set()
        while True:
            scored = self._from(bound, PAGE + len(seen_at_bound))
            page = [(id, score) for id, score in scored if id not in seen_at_bound]
            if not page:
                return
            yield page
            last = page[-1][1]
            at_last = {id for id, score in page if score == last}
            seen_at_bound = at_last | (seen_at_bound if bound == repr(last) else set())
            bound = repr(last)

    def _from(self, bound: str, most: int) -> list[tuple[str, float]]:
        with translated_errors():
            found = cast(
                list[tuple[bytes, float]],
                self.connection.zrange(
                    self.key,
                    cast(Any, bound),
                    cast(Any, "+inf"),
                    byscore=True,
                    withscores=True,
                    offset=0,
                    num=most,
                ),
            )
        return [(id.decode(), score) for id, score in found]


def payload_by_name(spec: QueueSpec, data: bytes | None) -> Mapping[str, Any]:
    """A job's payload by name; empty if no version of ours can read it."""
    try:
        _, arguments = decode(data or b"")
        return named(spec, arguments[0]) if arguments else {}
    except (ValueError, TypeError, LaterRelease):
        return {}


def text_of(value: bytes | None) -> str:
    """A field of a job as people read it; "" if it has none."""
    return "" if value is None else value.decode(errors="replace")


def moment_of(text: str, otherwise: float) -> float:
    """A time of a job's in Unix seconds; `otherwise` if another tool left none."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return otherwise


def queues_of(connection: Redis, ids: Sequence[str]) -> list[str | None]:
    """The name of the queue of ours that each job is of; None of a job that is of none, or gone.

    Raises QueueUnavailable.
    """
    with translated_errors(), connection.pipeline(transaction=False) as pipeline:
        for id in ids:
            pipeline.hget(Job.redis_job_namespace_prefix + id, "origin")
        return [QUEUES.get(text_of(origin)) for origin in pipeline.execute()]
