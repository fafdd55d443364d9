"""What the doctor finds in the queues: workers, the clock, waiting and dead jobs."""

from __future__ import annotations

from rq import Queue

from app.queue.model import EFFECTS, EVENTS
from app.queue.pausing import pause
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
    pause(deployment.redis, reason="database upgrade", by="ops@host", now=1_800_000_000)
    assert_is(
        deployment.examine()["workers"],
        "warning",
        "all paused since 2027-01-15 08:00:00 UTC by ops@host: database upgrade",
        "run `queue resume`",
    )


def test_workers_that_rqs_own_command_has_suspended_are_warned_about(
    deployment: Deployment,
) -> None:
    deployment.start_workers()
    deployment.redis.set("rq:suspended", 1)
    assert_is(deployment.examine()["workers"], "warning", "all paused", "run `queue resume`")


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


def test_a_job_that_waits_while_the_workers_are_paused_waits_for_them_to_be_resumed(
    deployment: Deployment,
) -> None:
    JobQueue(deployment.redis, EVENTS).enqueue(new("evt_1"))
    deployment.redis.hset("rq:job:evt_1", "enqueued_at", "2020-01-01T00:00:00.000000Z")
    pause(deployment.redis, reason=None, by="ops@host", now=1_800_000_000)
    assert_is(deployment.examine()["queue"], "wrong", "1 events wait", "run `queue resume`")


def test_a_lease_that_nobody_takes_back_is_wrong(deployment: Deployment) -> None:
    jobs = JobQueue(deployment.redis, EVENTS)
    jobs.enqueue(new("evt_1"))
    jobs.claim("lease", 60, 1)
    assert_is(deployment.examine()["clock process"], "ok")
    deployment.redis.zincrby("rq:wip:identity-events", -200, "evt_1:lease")
    assert_is(deployment.examine()["clock process"], "wrong", "2 min", "python -m workers")


def test_a_due_job_that_nobody_queues_is_wrong(deployment: Deployment) -> None:
    JobQueue(deployment.redis, EVENTS).enqueue(new("evt_1", delay=10))
    assert_is(deployment.examine()["clock process"], "ok")
    deployment.redis.zincrby("rq:scheduled:identity-events", -200, "evt_1")
    assert_is(deployment.examine()["clock process"], "wrong", "3 min")


def test_other_rq_applications_in_the_database_are_named(deployment: Deployment) -> None:
    JobQueue(deployment.redis, EVENTS).enqueue(new("evt_1"))
    assert_is(deployment.examine()["other RQ applications"], "ok", "none")
    for name in ("mail", "default\x1b[2J"):
        Queue(name, connection=deployment.redis).enqueue("time.sleep", 0)
    found = deployment.examine()["other RQ applications"]
    assert_is(found, "ok", "queues default?[2J, mail in", "a pause")
