"""Whatever RQ's own tools do to a job, Stripe's event is not lost, and nothing old counts on."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from redis import Redis
from rq import Queue
from rq.job import Job, JobStatus, requeue_job
from rq.registry import CanceledJobRegistry
from rq.serializers import JSONSerializer

from app.queue.model import EFFECTS, NewJob, decode
from app.queue.transitions import JobQueue
from tests.support.places import (
    claim_one,
    dead,
    end_lease,
    field,
    make_due,
    new,
    one_of_each,
    place,
    places,
)

RESULTS = "rq:results:evt_1"


def fetch(redis: Redis, id: str) -> Job:
    """The job as RQ sees it."""
    return Job.fetch(id, connection=redis, serializer=JSONSerializer)


def stop(redis: Redis, id: str) -> None:
    """Leave a started job as RQ does that has stopped it."""
    job = fetch(redis, id)
    job.set_status(JobStatus.STOPPED)
    job.failed_job_registry.add(job, ttl=-1)


Again = Callable[[JobQueue, NewJob], str]
AGAIN: dict[str, Again] = {
    "a resend": lambda jobs, job: jobs.enqueue(job),
    "a backfill": lambda jobs, job: jobs.enqueue_absent([job])[0],
}
again = pytest.mark.parametrize("find", AGAIN.values(), ids=AGAIN.keys())


@again
@pytest.mark.parametrize("id", ["queued", "started", "scheduled", "failed"])
@pytest.mark.parametrize("how", ["cancel", "delete"])
def test_a_job_that_was_canceled_or_deleted_is_found_again(
    jobs: JobQueue, redis: Redis, id: str, how: str, find: Again
) -> None:
    one_of_each(jobs)
    getattr(fetch(redis, id), how)()
    assert find(jobs, new(id, n=2)) == ("replayed" if how == "cancel" else "enqueued")
    assert id not in CanceledJobRegistry("identity-events", redis).get_job_ids()
    if id == "started" and how == "delete":  # the worker that has it holds nothing of the new one
        assert jobs.complete("token", [id]) == 0
    assert place(redis, id) == "queued"
    claimed = {job.id: job for n in range(3) for job in jobs.claim(f"t{n}", 60, 9)}
    assert (decode(claimed[id].data).arguments, claimed[id].attempts) == ([{"n": 2}], 0)


@again
def test_a_job_that_was_stopped_is_found_again(jobs: JobQueue, redis: Redis, find: Again) -> None:
    jobs.enqueue(new("evt_1"))
    claim_one(jobs)
    stop(redis, "evt_1")
    assert find(jobs, new("evt_1")) == "replayed"
    assert place(redis, "evt_1") == "queued"


def test_a_stopped_job_is_a_dead_letter_that_can_be_replayed(jobs: JobQueue, redis: Redis) -> None:
    jobs.enqueue(new("evt_1"))
    claim_one(jobs)
    stop(redis, "evt_1")
    assert jobs.replay(["evt_1"]) == 1
    assert claim_one(jobs, "other").id == "evt_1"


@again
def test_a_job_in_no_list_is_found_again(jobs: JobQueue, redis: Redis, find: Again) -> None:
    jobs.enqueue_all([new("evt_1"), new("evt_2", delay=60)])
    Queue("identity-events", connection=redis).delete(delete_jobs=False)
    redis.zrem("rq:scheduled:identity-events", "evt_2")
    assert [places(redis, id) for id in ("evt_1", "evt_2")] == [[], []]
    assert [find(jobs, new(id)) for id in ("evt_1", "evt_2")] == ["replayed"] * 2
    assert place(redis, "evt_1") == place(redis, "evt_2") == "queued"


@again
def test_a_started_job_whose_lease_was_removed_is_found_again(
    jobs: JobQueue, redis: Redis, find: Again
) -> None:
    jobs.enqueue(new("evt_1"))
    claim_one(jobs)
    redis.delete("rq:wip:identity-events")
    assert find(jobs, new("evt_1")) == "replayed"
    assert place(redis, "evt_1") == "queued"


def test_an_effect_that_was_canceled_is_found_again_by_the_clock(redis: Redis) -> None:
    effects = JobQueue(redis, EFFECTS)
    effects.enqueue(new("evt_1-notify"))
    fetch(redis, "evt_1-notify").cancel()
    assert effects.enqueue(new("evt_1-notify")) == "replayed"
    assert claim_one(effects).id == "evt_1-notify"


def test_a_worker_under_which_its_job_was_canceled_does_not_end_the_next_run(
    jobs: JobQueue, redis: Redis
) -> None:
    jobs.enqueue(new("evt_1"))
    claim_one(jobs, "first")
    fetch(redis, "evt_1").cancel()
    jobs.enqueue(new("evt_1"))
    claim_one(jobs, "second")
    assert jobs.complete("first", ["evt_1"]) == 0
    assert place(redis, "evt_1") == "started"
    assert jobs.complete("second", ["evt_1"]) == 1


def test_a_dead_letter_requeued_by_rq_starts_with_fresh_counts(
    jobs: JobQueue, redis: Redis
) -> None:
    jobs.enqueue(new("evt_1", n=1))
    jobs.retry_later(claim_one(jobs), 60, "Late", "late", timed_out=True)
    make_due(redis, "evt_1")
    jobs.promote()
    claim_one(jobs)
    end_lease(redis, "evt_1")
    jobs.rescue()
    jobs.bury(claim_one(jobs), "attempts_exhausted", "Busy", "busy")
    requeue_job("evt_1", redis, serializer=JSONSerializer)
    jobs.enqueue(new("evt_2"))
    first, second = jobs.claim("token", 60, 9)  # it is no suspect any more, so not alone
    assert (first.id, first.attempts, second.id) == ("evt_1", 0, "evt_2")
    for name in ("attempts", "timeouts", "expiries", "reason", "ended_at"):
        assert field(redis, "evt_1", name) is None
    assert not redis.exists(RESULTS)
    jobs.retry_later(first, 60, "Busy", "busy")
    make_due(redis, "evt_1")
    jobs.promote()
    assert claim_one(jobs, "next").attempts == 1  # and they count on from there


@pytest.mark.parametrize("act", ["replay", "discard", "enqueue"])
def test_a_letter_that_is_put_back_or_discarded_leaves_no_result(
    jobs: JobQueue, redis: Redis, act: str
) -> None:
    dead(jobs, "evt_1")
    assert redis.exists(RESULTS)
    if act == "enqueue":
        jobs.enqueue(new("evt_1"))
    else:
        getattr(jobs, act)(["evt_1"])
    assert not redis.exists(RESULTS)


def test_a_letter_that_dies_again_shows_its_last_death_alone(jobs: JobQueue, redis: Redis) -> None:
    dead(jobs, "evt_1")
    jobs.replay(["evt_1"])
    jobs.bury(claim_one(jobs), "timed_out", "Late", "late")
    (result,) = fetch(redis, "evt_1").results()
    assert result.exc_string == "timed_out: Late: late"
