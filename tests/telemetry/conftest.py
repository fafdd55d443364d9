"""A recording of the spans of one process, and a worker's process that is recorded."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from app.local.valkey import Valkey
from app.queue.model import EVENTS
from app.queue.transitions import JobQueue
from tests.notifications.receiver import Receiver, receiving
from tests.telemetry.recording import Recording
from tests.telemetry.working import Working, working


@pytest.fixture
def recording() -> Recording:
    return Recording()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A team's own, which accepts."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def work(
    recording: Recording, receiver: Receiver, valkey: Valkey, redis: Redis, database_url: str
) -> Iterator[Working]:
    """Workers that do all that is queued, and notify the receiver."""
    with working(recording, valkey.url, database_url, receiver.url) as work:
        yield work


@pytest.fixture
def jobs(redis: Redis) -> JobQueue:
    """The queue of events."""
    return JobQueue(redis, EVENTS)
