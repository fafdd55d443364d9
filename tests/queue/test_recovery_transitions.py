"""What the clock, a stopping worker and operators do to a job: each step moves it whole."""

from __future__ import annotations

import time

import pytest
from redis import Redis

from app.queue import transitions
from app.queue.model import EVENTS, Rescued, decode, encode
from app.queue.transitions import MAX_EXPIRIES, JobQueue
from tests.support.places import (
    STARTED,
    claim_one,
    counts,
    dead,
    end_lease,
    everything,
    field,
    make_due,
    make_suspect,
    new,
    one_of_each,
    place,
    places,
    queued,
)

# rescue and promote


def test_an_expired_lease_puts_its_job_back(jobs: JobQueue, redis: Redis) -> None:
    jobs.enqueue_all([new("evt_1", n=1), new("evt_2")])
    claim_one(jobs)
    end_lease(redis, "evt_1")
    assert jobs.rescue() == Rescued(expired=1)
    assert place(redis, "evt_1") == "queued"
    assert queued(redis) == ["evt_2", "evt_1"]
    assert field(redis, "evt_1", "worker_name") is None
    jobs.claim("other", 60, 1)
    assert decode(claim_one(jobs).data)[1] == [{"n": 1}]


def test_a_lease_ends_by_itself_when_its_time_is_over(jobs: JobQueue, redis: Redis) -> None:
    jobs.enqueue(new("evt_1"))
    jobs.claim("token", 0.05, 1)
    deadline = time.monotonic() + 10
    while jobs.rescue() != Rescued(expired=1):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert place(redis, "evt_1") == "queued"


def test_a_live_lease_and_a_later_schedule_are_left_alone(jobs: JobQueue, redis: Redis) -> None:
    jobs.enqueue_all([new("evt_1"), new("evt_2", delay=60)])
    claim_one(jobs)
    before = everything(redis)
    assert jobs.rescue() == Rescued()
    assert jobs.promote() == 0
    assert everything(redis) == before


def test_a_due_job_is_queued(jobs: JobQueue, redis: Redis) -> None:
    jobs.enqueue(new("evt_1", delay=60))
    make_due(redis, "evt_1")
    assert jobs.promote() == 1
    assert place(redis, "evt_1") == "queued"


def test_a_job_that_kills_its_workers_is_held_until_somebody_has_looked(
    jobs: JobQueue, redis: Redis
) -> None:
    jobs.enqueue(new("evt_1", n=1))
    for time_ in range(1, MAX_EXPIRIES + 1):
        claim_one(jobs, f"t{time_}")
        end_lease(redis, "evt_1")
        found = jobs.rescue()
        assert (found.expired, len(found.suspects)) == ((1, 0) if time_ < MAX_EXPIRIES else (0, 1))
    (held,) = found.suspects
    assert (place(redis, "evt_1"), held.id, decode(held.data)[1]) == (
        "started",
        "evt_1",
        [{"n": 1}],
    )
    assert jobs.rescue() == Rescued()
    end_lease(redis, "evt_1")  # as whoever looked has died
    assert jobs.rescue().suspects == (held,)
    assert jobs.bury(held, "crashed_worker", "LeaseExpired", "it killed")
    assert place(redis, "evt_1") == "failed"


def test_rescue_drops_leases_of_jobs_that_are_gone_or_not_started(
    jobs: JobQueue, redis: Redis
) -> None:
    jobs.enqueue_all([new("gone"), new("canceled")])
    jobs.claim("token", 60, 2)
    redis.delete("rq:job:gone")
    redis.hset("rq:job:canceled", "status", "canceled")
    end_lease(redis, "gone")
    end_lease(redis, "canceled")
    assert jobs.rescue() == Rescued()
    assert redis.zcard(STARTED) == 0
    assert queued(redis) == []
    assert not redis.exists("rq:job:gone")


def test_promote_drops_schedules_of_jobs_that_are_gone(jobs: JobQueue, redis: Redis) -> None:
    jobs.enqueue(new("gone", delay=60))
    redis.delete("rq:job:gone")
    make_due(redis, "gone")
    assert jobs.promote() == 0
    assert places(redis, "gone") == []
    assert not redis.exists("rq:job:gone")


def test_one_rescue_and_one_promote_move_no_more_than_their_share(
    jobs: JobQueue, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transitions, "MAX_MOVED", 3)
    jobs.enqueue_all([new(f"evt_{n}") for n in range(4)])
    for job in jobs.claim("token", 60, 4):
        end_lease(redis, job.id)
    jobs.enqueue_all([new(f"later_{n}", delay=60) for n in range(4)])
    for n in range(4):
        make_due(redis, f"later_{n}")
    assert [jobs.rescue() for _ in range(3)] == [
        Rescued(expired=3),
        Rescued(expired=1),
        Rescued(),
    ]
    assert [jobs.promote() for _ in range(3)] == [3, 1, 0]


# release, replay, discard, rewrite

OTHER = encode(EVENTS.function, [2])


def test_jobs_given_back_come_next_in_their_old_order(jobs: JobQueue, redis: Redis) -> None:
    jobs.enqueue_all([new(f"evt_{n}") for n in range(5)])
    jobs.claim("token", 60, 4)
    assert jobs.complete("token", ["evt_0"]) == 1
    assert jobs.release("token", ["evt_1", "evt_2", "evt_3"]) == 3
    assert queued(redis) == ["evt_1", "evt_2", "evt_3", "evt_4"]
    assert place(redis, "evt_1") == "queued"
    assert field(redis, "evt_1", "expiries") is field(redis, "evt_1", "attempts") is None
    assert jobs.release("token", []) == 0


def test_a_replayed_job_begins_anew(jobs: JobQueue, redis: Redis) -> None:
    make_suspect(jobs, "evt_1")
    jobs.retry_later(claim_one(jobs), 60, "Late", "late", timed_out=True)
    make_due(redis, "evt_1")
    jobs.promote()
    jobs.bury(claim_one(jobs), "permanent_error", "Broken", "it broke")
    assert jobs.replay(["evt_1"]) == 1
    assert place(redis, "evt_1") == "queued"
    for name in ("attempts", "timeouts", "expiries", "reason", "exc_info", "ended_at"):
        assert field(redis, "evt_1", name) is None
    jobs.enqueue(new("evt_2"))
    assert [job.id for job in jobs.claim("token", 60, 2)] == ["evt_1", "evt_2"]


@pytest.mark.parametrize("operation", ["replay", "discard"])
def test_only_dead_letters_are_replayed_or_discarded(
    jobs: JobQueue, redis: Redis, operation: str
) -> None:
    ids = one_of_each(jobs)
    others = [id for id in ids if id != "failed"]
    before = everything(redis)
    assert getattr(jobs, operation)([*others, "absent"]) == 0
    assert getattr(jobs, operation)([]) == 0
    assert everything(redis) == before
    assert getattr(jobs, operation)([*ids, "failed"]) == 1


def test_a_dead_letter_whose_job_is_gone_is_dropped_by_replay(jobs: JobQueue, redis: Redis) -> None:
    dead(jobs, "gone")
    redis.delete("rq:job:gone")
    assert jobs.replay(["gone"]) == 0
    assert places(redis, "gone") == []
    assert not redis.exists("rq:job:gone")


def test_a_discarded_job_is_gone_and_may_come_anew(jobs: JobQueue, redis: Redis) -> None:
    dead(jobs, "evt_1")
    assert jobs.discard(["evt_1"]) == 1
    assert places(redis, "evt_1") == []
    assert not redis.exists("rq:job:evt_1")
    assert jobs.enqueue(new("evt_1")) == "enqueued"


def test_a_dead_letter_is_rewritten_where_it_is(jobs: JobQueue, redis: Redis) -> None:
    dead(jobs, "evt_1")
    assert jobs.rewrite("evt_1", OTHER) is True
    assert place(redis, "evt_1") == "failed"
    jobs.replay(["evt_1"])
    assert decode(claim_one(jobs).data) == (EVENTS.function, [[2]])


@pytest.mark.parametrize("id", ["queued", "started", "expired", "finished", "absent"])
def test_what_is_under_way_or_over_is_not_rewritten(jobs: JobQueue, redis: Redis, id: str) -> None:
    one_of_each(jobs)
    before = everything(redis)
    assert jobs.rewrite(id, OTHER) is False
    assert everything(redis) == before


def test_a_deferred_job_is_rewritten_where_it_is(jobs: JobQueue, redis: Redis) -> None:
    one_of_each(jobs)
    assert jobs.rewrite("scheduled", OTHER) is True
    assert place(redis, "scheduled") == "scheduled"
    make_due(redis, "scheduled")
    jobs.promote()
    claimed = {job.id: decode(job.data) for job in jobs.claim("t2", 60, 9)}
    assert claimed["scheduled"] == (EVENTS.function, [[2]])


def test_a_job_that_dies_or_is_deferred_may_leave_some_of_its_data_behind(
    jobs: JobQueue, redis: Redis
) -> None:
    jobs.enqueue_all([new("evt_1", n=1), new("evt_2", n=1)])
    first, second = jobs.claim("token", 60, 2)
    assert jobs.bury(first, "permanent_error", "Broken", "it broke", OTHER)
    assert jobs.retry_later(second, 60, "Busy", "try again", OTHER)
    assert field(redis, "evt_1", "data") == field(redis, "evt_2", "data") == OTHER.decode()


def test_a_dead_letter_whose_job_is_gone_is_not_rewritten(jobs: JobQueue, redis: Redis) -> None:
    dead(jobs, "gone")
    redis.delete("rq:job:gone")
    assert jobs.rewrite("gone", OTHER) is False
    assert not redis.exists("rq:job:gone")


def test_counts_say_how_many_jobs_are_where(jobs: JobQueue) -> None:
    one_of_each(jobs)
    assert counts(jobs) == {"queued": 1, "started": 2, "scheduled": 2, "failed": 1}


def test_the_jobs_of_a_holder_that_is_known_to_be_dead_are_queued_at_once(
    jobs: JobQueue, redis: Redis
) -> None:
    for number in range(3):
        jobs.enqueue(new(f"evt_{number}"))
    assert [job.id for job in jobs.claim("house-e1-a", 60, 2)] == ["evt_0", "evt_1"]
    assert [job.id for job in jobs.claim("house-e2-a", 60, 1)] == ["evt_2"]
    assert jobs.rescue(dead_holder="house-e1-") == Rescued(expired=2)
    assert [place(redis, f"evt_{number}") for number in range(3)] == ["queued", "queued", "started"]
