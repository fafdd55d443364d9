"""What is dead or deferred is found by its session: a redaction costs what there is of it."""

from __future__ import annotations

from dataclasses import replace

from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer

from app.queue.model import EFFECTS, EVENTS, decode, encode
from app.queue.transitions import MAX_EXPIRIES, JobQueue
from tests.support.places import claim_one, end_lease, make_due, new, rescue


def of_session(jobs: JobQueue, session: str = "vs_1") -> list[str]:
    """The ids that are found by a session."""
    return [*jobs.held_of([session])]


def test_what_is_dead_or_deferred_is_found_by_its_session_and_nothing_else_is(
    jobs: JobQueue, redis: Redis
) -> None:
    names = ("dead", "deferred", "done", "waits")
    jobs.enqueue_all([replace(new(id, n=1), description="verified vs_1") for id in names])
    jobs.enqueue(replace(new("other"), description="verified vs_2"))
    first, second, *_ = jobs.claim("token", 60, 3)
    jobs.bury(first, "permanent_error", "Broken", "it broke")
    jobs.retry_later(second, 60, "Busy", "try again")
    jobs.complete("token", ["done"])
    assert jobs.held_of(["vs_1"]).keys() == {"dead", "deferred"}
    assert decode(jobs.held_of(["vs_1"])["dead"]) == (EVENTS.function, [{"n": 1}])
    make_due(redis, "deferred")
    jobs.promote()
    assert of_session(jobs) == ["dead"]
    jobs.replay(["dead"])
    assert of_session(jobs) == of_session(jobs, "vs_2") == []
    assert not redis.keys("identity:by_session:*")


def test_a_job_that_killed_its_workers_is_found_by_its_session(jobs: JobQueue) -> None:
    jobs.enqueue(replace(new("evt_1"), description="verified vs_1"))
    for _ in range(MAX_EXPIRIES):
        claim_one(jobs)
        end_lease(jobs.connection, "evt_1")
        rescue(jobs)
    assert of_session(jobs) == ["evt_1"]
    jobs.discard(["evt_1"])
    assert of_session(jobs) == []


def test_what_was_canceled_after_it_had_failed_is_found_and_rewritten_as_well(
    jobs: JobQueue, redis: Redis
) -> None:
    jobs.enqueue(replace(new("evt_1", n=1), description="verified vs_1"))
    jobs.bury(claim_one(jobs), "permanent_error", "Broken", "it broke")
    Job.fetch("evt_1", connection=redis, serializer=JSONSerializer).cancel()
    assert of_session(jobs) == ["evt_1"]
    assert jobs.rewrite("evt_1", encode(EVENTS.function, {"n": 2}))
    assert decode(jobs.held_of(["vs_1"])["evt_1"]) == (EVENTS.function, [{"n": 2}])


def test_effects_name_nobody_and_are_not_indexed(redis: Redis) -> None:
    effects = JobQueue(redis, EFFECTS)
    effects.enqueue(replace(new("evt_1-recheck", delay=60), description="recheck vs_1"))
    assert effects.held_of(["vs_1"]) == {}
    assert not redis.keys("identity:by_session:*")
