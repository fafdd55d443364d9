"""The queue under test, on an empty server."""

from __future__ import annotations

import pytest
from redis import Redis

from app.queue.jobs import JobQueue
from app.queue.model import EVENTS


@pytest.fixture
def jobs(redis: Redis) -> JobQueue:
    """The queue of events, for a worker called `worker`."""
    return JobQueue(redis, EVENTS, "worker")
