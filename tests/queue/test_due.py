"""Whether anything is due, before it is moved."""

from __future__ import annotations

import pytest
from redis import Redis

from app.domain.errors import QueueUnavailable
from app.local.valkey import free_port
from app.queue.connection import open_redis
from app.queue.due import Due, read_due
from app.queue.model import EFFECTS, EVENTS
from app.queue.transitions import JobQueue
from tests.support.places import end_lease, make_due, new

NOTHING = Due(leases=False, jobs=False)


def schedule(jobs: JobQueue, id: str) -> None:
    jobs.enqueue(new(id))
    (job,) = jobs.claim("token", 60, 1)
    assert jobs.retry_later(job, 60, "Transient", "later")


def test_in_empty_queues_nothing_is_due(redis: Redis) -> None:
    assert read_due(redis, [EVENTS, EFFECTS]) == [NOTHING, NOTHING]


def test_what_runs_and_what_is_scheduled_for_later_is_not_due(jobs: JobQueue, redis: Redis) -> None:
    schedule(jobs, "evt_1")
    jobs.enqueue(new("evt_2"))
    jobs.claim("token", 60, 1)
    assert read_due(redis, [EVENTS]) == [NOTHING]


def test_an_expired_lease_is_due_in_its_own_queue(jobs: JobQueue, redis: Redis) -> None:
    jobs.enqueue(new("evt_1"))
    jobs.claim("token", 60, 1)
    end_lease(redis, "evt_1")
    assert read_due(redis, [EFFECTS, EVENTS]) == [NOTHING, Due(leases=True, jobs=False)]


def test_a_scheduled_job_is_due_when_its_time_has_come(jobs: JobQueue, redis: Redis) -> None:
    schedule(jobs, "evt_1")
    make_due(redis, "evt_1")
    assert read_due(redis, [EVENTS]) == [Due(leases=False, jobs=True)]


def test_a_lease_that_rqs_own_worker_wrote_is_due(redis: Redis) -> None:
    redis.zadd("rq:wip:identity-events", {"evt_1:execution": 1})
    assert read_due(redis, [EVENTS]) == [Due(leases=True, jobs=False)]


def test_what_redis_refuses_to_look_into_is_due_and_the_rest_is_told(
    jobs: JobQueue, redis: Redis
) -> None:
    redis.set("rq:wip:identity-effects", "a text")
    schedule(jobs, "evt_1")
    make_due(redis, "evt_1")
    found = read_due(redis, [EFFECTS, EVENTS])
    assert found == [Due(leases=True, jobs=False), Due(leases=False, jobs=True)]


def test_an_absent_redis_is_told() -> None:
    with open_redis(f"redis://127.0.0.1:{free_port()}/0") as away, pytest.raises(QueueUnavailable):
        read_due(away, [EVENTS])
