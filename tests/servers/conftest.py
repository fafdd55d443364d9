"""The queue under test on each server of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from app.local.valkey import Valkey
from app.queue.model import EVENTS
from app.queue.transitions import JobQueue
from tests.support.servers import SERVERS, Server


@pytest.fixture(scope="module", params=SERVERS)
def valkey(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Valkey]:
    """A running server, for all tests of a module; then the next one."""
    folder = tmp_path_factory.mktemp(request.param)
    with Server(folder, request.param, fsync="no") as server:
        yield server


@pytest.fixture
def jobs(redis: Redis) -> JobQueue:
    """The queue of events, for a worker called `worker`."""
    return JobQueue(redis, EVENTS, "worker")
