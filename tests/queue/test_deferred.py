"""What waits to be tried again: counted by reason, listed, and tried now."""

from __future__ import annotations

import pytest
from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer

from app.queue import deferred, registry
from app.queue.deferred import LEFT, DeferredJobs
from app.queue.model import EVENTS
from app.queue.transitions import JobQueue
from tests.support.places import (
    claim_one,
    dead,
    failing_for,
    field,
    make_due,
    new,
    one_of_each,
    place,
    queued,
)


@pytest.fixture
def waiting(redis: Redis) -> DeferredJobs:
    """What waits in the queue under test."""
    return DeferredJobs(redis, EVENTS)


def defer(jobs: JobQueue, id: str, error_class: str = "Busy", **options: float) -> None:
    """Have a new job fail: `delay` until its next try, and `seconds` since its first failure."""
    jobs.enqueue(new(id, n=1))
    assert jobs.retry_later(claim_one(jobs), options.get("delay", 60), error_class, f"{id} failed")
    failing_for(jobs.connection, id, options.get("seconds", 0))


def test_what_failed_is_counted_by_reason_with_the_age_and_words_of_the_oldest(
    jobs: JobQueue, waiting: DeferredJobs
) -> None:
    defer(jobs, "evt_1", seconds=100)
    defer(jobs, "evt_2", seconds=5_000, delay=9)
    defer(jobs, "evt_3", "Away", seconds=300)
    summary = waiting.summarise()
    busy, away = summary.reasons
    assert (busy.error_class, busy.count, busy.error) == ("Busy", 2, "evt_2 failed")
    assert (away.error_class, away.count, away.error) == ("Away", 1, "evt_3 failed")
    assert 5_000 <= busy.seconds == summary.seconds < 5_100
    assert (summary.count, summary.complete) == (3, True)


def test_nothing_that_is_elsewhere_is_counted(jobs: JobQueue, waiting: DeferredJobs) -> None:
    one_of_each(jobs)
    jobs.promote()
    assert [job.id for job in waiting] == ["scheduled"]
    assert waiting.summarise().count == 1


def test_what_is_not_due_for_the_first_time_does_not_count(
    jobs: JobQueue, waiting: DeferredJobs
) -> None:
    jobs.enqueue(new("evt_1", delay=60))
    assert waiting.summarise().reasons == ()
    assert waiting.summarise().seconds == 0
    assert list(waiting) == []
    assert waiting.find("evt_1") is None


def test_what_a_later_release_wrote_waits_for_a_worker_of_that_release(
    jobs: JobQueue, waiting: DeferredJobs
) -> None:
    jobs.enqueue(new("evt_1"))
    assert jobs.leave(claim_one(jobs), 30)
    (reason,) = waiting.summarise().reasons
    assert (reason.error_class, reason.count, reason.error) == ("LaterRelease", 1, LEFT)
    (job,) = waiting
    assert (job.error_class, job.error, job.attempts) == ("LaterRelease", LEFT, 0)


def test_what_rqs_own_tools_remove_is_counted_no_more(
    jobs: JobQueue, redis: Redis, waiting: DeferredJobs
) -> None:
    for id in ("evt_1", "evt_2"):
        defer(jobs, id)
    Job.fetch("evt_1", connection=redis, serializer=JSONSerializer).delete()
    redis.delete("rq:job:evt_2")
    assert waiting.summarise().count == 0
    assert list(waiting) == []
    assert waiting.find("evt_2") is None


def test_of_too_many_those_due_soonest_and_last_are_looked_at_and_that_is_said(
    jobs: JobQueue, waiting: DeferredJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deferred, "MAX_COUNTED", 4)
    for number in range(4):
        defer(jobs, f"evt_{number}", delay=100 + number)
    assert waiting.summarise().complete
    defer(jobs, "evt_soon", "Soon", delay=1)
    defer(jobs, "evt_late", "Late", delay=3_000, seconds=9_000)
    summary = waiting.summarise()
    assert {reason.error_class: reason.count for reason in summary.reasons} == {
        "Busy": 2,
        "Late": 1,
        "Soon": 1,
    }
    assert (summary.count, summary.complete) == (4, False)
    assert summary.seconds >= 9_000


def test_a_time_that_another_tool_wrote_is_no_fault(
    jobs: JobQueue, redis: Redis, waiting: DeferredJobs
) -> None:
    defer(jobs, "evt_1")
    redis.hset("rq:job:evt_1", "first_failed_at", b"\x80 yesterday")
    assert (waiting.summarise().count, waiting.summarise().seconds) == (1, 0)
    assert [job.id for job in waiting] == ["evt_1"]


def test_a_job_that_waits_is_read_with_its_next_try(
    jobs: JobQueue, redis: Redis, waiting: DeferredJobs
) -> None:
    defer(jobs, "evt_1")
    redis.zadd("rq:scheduled:identity-events", {"evt_1": 1_900_000_000.25})
    (job,) = waiting
    assert job == waiting.find("evt_1")
    assert job.next_try_at == "2030-03-17T17:46:40.250000Z"
    assert (job.reason, job.error, job.attempts) == ("Busy", "evt_1 failed", 1)
    assert (job.description, job.payload) == ("event evt_1", {"n": 1})
    assert job.first_failed_at == field(redis, "evt_1", "first_failed_at")


def test_the_next_to_be_tried_comes_first_over_pages(
    jobs: JobQueue, waiting: DeferredJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "PAGE", 2)
    for number in range(5):
        defer(jobs, f"evt_{number}", delay=100 - number)
    assert [job.id for job in waiting] == [f"evt_{number}" for number in (4, 3, 2, 1, 0)]


def test_what_fails_again_while_it_is_read_is_read_once(
    jobs: JobQueue, waiting: DeferredJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "PAGE", 1)
    ids = [f"evt_{number}" for number in range(3)]
    for number, id in enumerate(ids):
        defer(jobs, id, delay=10 + number)
    read = []
    for job in waiting:
        read.append(job.id)
        assert jobs.promote([job.id]) == 1
        assert jobs.retry_later(claim_one(jobs), 1_000, "Busy", "again")
    assert read == ids


def test_what_waits_can_be_queued_now(jobs: JobQueue, redis: Redis) -> None:
    for id in ("evt_1", "evt_2"):
        defer(jobs, id)
    assert jobs.promote(["evt_2", "evt_2", "absent"]) == 1
    assert queued(redis) == ["evt_2"]
    assert (place(redis, "evt_1"), place(redis, "evt_2")) == ("scheduled", "queued")
    assert field(redis, "evt_2", "attempts") == "1"
    make_due(redis, "evt_1")
    assert jobs.promote() == 1


def test_what_is_dead_finished_or_under_way_cannot(jobs: JobQueue, redis: Redis) -> None:
    where = one_of_each(jobs)
    others = [id for id in where if where[id] != "scheduled"]
    assert jobs.promote(others) == 0
    assert {id: place(redis, id) for id in others} == {id: where[id] for id in others}


def test_a_replayed_letter_that_is_deferred_has_failed_since_its_replay(
    jobs: JobQueue, waiting: DeferredJobs
) -> None:
    dead(jobs, "evt_1")
    failing_for(jobs.connection, "evt_1", 90_000)
    jobs.replay(["evt_1"])
    assert jobs.retry_later(claim_one(jobs), 60, "Busy", "try again")
    assert waiting.summarise().seconds < 80_000
