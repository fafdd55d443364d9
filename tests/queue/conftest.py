"""The queue under test, on an empty server."""

from __future__ import annotations

import pytest
from redis import Redis

from app.queue.model import EVENTS
from app.queue.transitions import JobQueue


@pytest.fixture
def jobs(redis: Redis) -> JobQueue:
    """The queue of events, for a worker called `worker`."""
    return JobQueue(redis, EVENTS, "worker")
