"""A worker's process outlives a failover behind the name that it knows Redis by."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.queue.connection import open_redis
from app.queue.model import EVENTS
from app.queue.transitions import JobQueue
from tests.support.places import places
from tests.support.replication import Pair, replicated
from tests.support.waiting import eventually
from tests.workers.process import Told, working
from tests.workers.runs import enqueue

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """A primary and a replica; each test has them change places."""
    with replicated(tmp_path_factory.mktemp("servers")) as servers:
        yield servers


@pytest.fixture
def worker(pair: Pair) -> Iterator[Told]:
    """A worker that has registered, at a queue that is empty."""
    with open_redis(pair.primary.url) as redis:
        redis.flushall()
    with working(pair.name.url) as told:
        yield told


def test_an_idle_worker_takes_what_is_queued_at_the_new_primary(pair: Pair, worker: Told) -> None:
    with open_redis(pair.primary.url) as redis:
        eventually(lambda: redis.info("clients")["blocked_clients"])
    pair.name.target = pair.replica.port  # it is about to be the primary
    pair.fail_over()
    with open_redis(pair.primary.url) as redis:
        enqueue(JobQueue(redis, EVENTS), "evt_1")
        worker.await_line("end evt_1")
        eventually(lambda: places(redis, "evt_1") == ["finished"])
    assert worker.process.poll() is None


def test_a_busy_worker_completes_at_the_new_primary_what_it_began_at_the_old(
    pair: Pair, worker: Told
) -> None:
    with open_redis(pair.primary.url) as redis:
        # Longer than the failover takes on a busy machine: the name has to have moved by its end.
        enqueue(JobQueue(redis, EVENTS), "evt_1", seconds=3)
        worker.await_line("begin evt_1")
    pair.fail_over()
    with open_redis(pair.primary.url) as redis:
        eventually(lambda: places(redis, "evt_1") == ["finished"])
    assert worker.text.count("begin evt_1") == 1
    assert worker.process.poll() is None
