"""What the doctor finds in the queues: workers, the clock, waiting and dead jobs."""

from __future__ import annotations

from app.queue.model import EFFECTS, EVENTS
from app.queue.transitions import JobQueue
from tests.doctor.deployment import Deployment, assert_is
from tests.support.places import new


def test_a_queue_without_workers_is_wrong(deployment: Deployment) -> None:
    assert_is(deployment.examine()["workers"], "wrong", "events and effects", "python -m workers")


def test_a_worker_that_was_killed_does_not_count(deployment: Deployment) -> None:
    deployment.start_workers()
    for key in deployment.redis.keys("rq:worker:*"):
        deployment.redis.delete(key)  # as it expires a minute after the last sign of life
    assert_is(deployment.examine()["workers"], "wrong")


def test_suspended_workers_are_warned_about(deployment: Deployment) -> None:
    deployment.start_workers()
    deployment.redis.set("rq:suspended", 1)
    assert_is(deployment.examine()["workers"], "warning", "rq resume")


def test_dead_letters_are_counted_with_the_command_that_lists_them(deployment: Deployment) -> None:
    jobs = JobQueue(deployment.redis, EFFECTS)
    jobs.enqueue(new("effect-1"))
    (claimed,) = jobs.claim("lease", 60, 1)
    jobs.bury(claimed, "permanent_error", "Oops", "PLANTED")
    found = deployment.examine()["dead letters"]
    assert_is(found, "warning", "1 of effects", "dlq list --queue effects")


def test_a_job_that_waits_for_long_is_wrong(deployment: Deployment) -> None:
    JobQueue(deployment.redis, EVENTS).enqueue(new("evt_1"))
    assert_is(deployment.examine()["queue"], "ok", "1 events queued")
    deployment.redis.hset("rq:job:evt_1", "enqueued_at", "2020-01-01T00:00:00.000000Z")
    assert_is(deployment.examine()["queue"], "wrong", "1 events wait")


def test_a_lease_that_nobody_takes_back_is_wrong(deployment: Deployment) -> None:
    jobs = JobQueue(deployment.redis, EVENTS)
    jobs.enqueue(new("evt_1"))
    jobs.claim("lease", 60, 1)
    assert_is(deployment.examine()["clock process"], "ok")
    deployment.redis.zincrby("rq:wip:events", -200, "evt_1:lease")
    assert_is(deployment.examine()["clock process"], "wrong", "2 min", "python -m workers")


def test_a_due_job_that_nobody_queues_is_wrong(deployment: Deployment) -> None:
    JobQueue(deployment.redis, EVENTS).enqueue(new("evt_1", delay=10))
    assert_is(deployment.examine()["clock process"], "ok")
    deployment.redis.zincrby("rq:scheduled:events", -200, "evt_1")
    assert_is(deployment.examine()["clock process"], "wrong", "3 min")
