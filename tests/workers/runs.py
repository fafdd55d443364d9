"""What a worker is given to run, and what RQ knows of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import rq
from redis import Redis
from rq.serializers import JSONSerializer

from app.queue.transitions import JobQueue
from tests.support.places import new

TEN = [f"evt_{number}" for number in range(10)]


@dataclass
class Time:
    """A clock that the test moves."""

    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


class Runs:
    """Keeps what was run; `does` says what happens to a job."""

    def __init__(self, does: Callable[[str], object] = lambda job: None) -> None:
        self.ids: list[str] = []
        self._does = does

    def __call__(self, function: str, arguments: list[Any]) -> None:
        id = arguments[0]["n"]
        self.ids.append(id)
        self._does(id)


def fails(*ids: str, error: Exception) -> Runs:
    """Runs in which some jobs fail."""

    def does(id: str) -> None:
        if id in ids:
            raise error

    return Runs(does)


def enqueue(jobs: JobQueue, *ids: str, **payload: Any) -> None:
    """Jobs of these ids, in this order."""
    jobs.enqueue_all([new(id, n=id, **payload) for id in ids])


def registered(redis: Redis) -> list[Any]:
    """The workers that RQ knows."""
    return rq.Worker.all(connection=redis, serializer=JSONSerializer)
