"""Every transition of a job, and each of its refusals."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from redis import Redis
from rq.utils import utcparse

from app.queue import jobs as jobs_module
from app.queue.jobs import KEEP_FINISHED, MOST_EXPIRIES, JobQueue
from app.queue.model import EFFECTS, EVENTS, Claimed, Released, decode, encode
from tests.queue.places import (
    FAILED,
    FINISHED,
    LIST,
    SCHEDULED,
    STARTED,
    end_lease,
    everything,
    field,
    make_due,
    new,
    one_of_each,
    place,
    places,
    queued,
)

WORKER = "rq:worker:worker"


def claim_one(jobs: JobQueue, token: str = "token") -> Claimed:
    """The next job, alone."""
    (job,) = jobs.claim(token, 60, 1)
    return job


def dead(jobs: JobQueue, id: str) -> None:
    """Make a dead letter of a new job."""
    jobs.accept(new(id, n=1))
    assert jobs.bury(claim_one(jobs), "permanent_error", "Broken", "it broke")


def make_suspect(jobs: JobQueue, id: str) -> None:
    """Make a new job outlive its worker once; it is queued last."""
    jobs.accept(new(id))
    assert claim_one(jobs).id == id
    end_lease(jobs.connection, id)
    assert jobs.release() == Released(expired=1)


def now(redis: Redis) -> float:
    """The server's time."""
    seconds, microseconds = redis.time()
    return float(seconds + microseconds / 1e6)


# accept


def test_an_absent_job_is_queued_with_its_call_and_times(jobs: JobQueue, redis: Redis) -> None:
    before = redis.time()
    assert jobs.accept(new("evt_1", n=1)) == "enqueued"
    after = redis.time()
    assert place(redis, "evt_1") == "queued"
    assert decode(redis.hget("rq:job:evt_1", "data")) == ("workers.jobs.process_event", [{"n": 1}])
    for name in ("created_at", "enqueued_at"):
        written = utcparse(field(redis, "evt_1", name) or "")
        assert datetime.fromtimestamp(before[0], UTC).replace(microsecond=before[1]) <= written
        assert written <= datetime.fromtimestamp(after[0], UTC).replace(microsecond=after[1])


@pytest.mark.parametrize("id", ["queued", "started", "expired", "scheduled", "due", "finished"])
def test_a_job_that_is_not_dead_is_a_duplicate_and_stays_as_it_is(
    jobs: JobQueue, redis: Redis, id: str
) -> None:
    one_of_each(jobs)
    before = everything(redis)
    assert jobs.accept(new(id, n=2)) == "duplicate"
    assert everything(redis) == before


def test_a_resend_of_a_dead_letter_puts_it_back_as_a_new_job(jobs: JobQueue, redis: Redis) -> None:
    dead(jobs, "evt_1")
    assert jobs.accept(new("evt_1", n=2)) == "replayed"
    assert place(redis, "evt_1") == "queued"
    job = claim_one(jobs)
    assert (decode(job.data)[1], job.attempts) == ([{"n": 2}], 0)
    assert field(redis, "evt_1", "reason") is None


def test_a_resend_puts_back_a_dead_letter_that_its_registry_has_lost(
    jobs: JobQueue, redis: Redis
) -> None:
    dead(jobs, "evt_1")
    # RQ's own requeue takes it out of the registry first, and may be killed right after.
    redis.zrem(FAILED, "evt_1")
    assert jobs.accept(new("evt_1", n=2)) == "replayed"
    assert place(redis, "evt_1") == "queued"


def test_a_dead_effect_is_a_duplicate_until_someone_replays_it(redis: Redis) -> None:
    effects = JobQueue(redis, EFFECTS)
    effects.accept(new("effect_1", n=1))
    effects.bury(claim_one(effects), "permanent_error", "Broken", "it broke")
    before = everything(redis)
    assert effects.accept(new("effect_1", n=2)) == "duplicate"
    assert everything(redis) == before
    # Named by no registry it is nowhere, and only accepting it can bring it back.
    redis.zrem("rq:failed:effects", "effect_1")
    assert effects.accept(new("effect_1", n=2)) == "replayed"
    assert [job.id for job in effects.claim("token", 60, 2)] == ["effect_1"]


def test_a_delayed_job_is_scheduled_and_cannot_be_claimed_before(
    jobs: JobQueue, redis: Redis
) -> None:
    before = now(redis)
    assert jobs.accept(new("evt_1", delay=60)) == "enqueued"
    assert place(redis, "evt_1") == "scheduled"
    assert before + 60 <= redis.zscore(SCHEDULED, "evt_1") <= now(redis) + 60
    assert redis.smembers("rq:queues") == {LIST.encode()}
    assert jobs.release() == Released()
    assert jobs.claim("token", 60, 1) == []


def test_a_finished_job_is_new_again_after_its_hour(jobs: JobQueue, redis: Redis) -> None:
    jobs.accept(new("evt_1"))
    jobs.settle("token", [claim_one(jobs).id])
    redis.pexpireat("rq:job:evt_1", 1)
    assert jobs.accept(new("evt_1")) == "enqueued"
    assert claim_one(jobs).id == "evt_1"


def test_many_jobs_are_taken_at_once_and_each_is_answered_for_itself(
    jobs: JobQueue, redis: Redis
) -> None:
    dead(jobs, "evt_1")
    answers = jobs.accept_all([new("evt_1"), new("evt_2"), new("evt_2")])
    assert answers == ["replayed", "enqueued", "duplicate"]
    assert queued(redis) == ["evt_1", "evt_2"]
    assert jobs.accept_all([]) == []


@pytest.mark.parametrize(
    "reference",
    ["r" * 5000, "Zoë 🦊 漢字", "\x00\x1f\x7f\r\n\t", "\"'\\%s{}[]", "\ud800"],
    ids=["long", "unicode", "control", "quotes", "lone-surrogate"],
)
def test_a_value_of_any_characters_comes_back_as_it_was(jobs: JobQueue, reference: str) -> None:
    jobs.accept(new("evt_1", client_reference_id=reference))
    assert decode(claim_one(jobs).data)[1] == [{"client_reference_id": reference}]


# claim


def test_a_claim_takes_up_to_so_many_jobs_the_oldest_first(jobs: JobQueue, redis: Redis) -> None:
    jobs.accept_all([new(f"evt_{n}", n=n) for n in range(5)])
    claimed = jobs.claim("token", 60, 3)
    assert [job.id for job in claimed] == ["evt_0", "evt_1", "evt_2"]
    assert [decode(job.data)[1] for job in claimed] == [[{"n": n}] for n in range(3)]
    assert {(job.attempts, job.token) for job in claimed} == {(0, "token")}
    assert queued(redis) == ["evt_3", "evt_4"]
    assert [job.id for job in jobs.claim("token", 60, 3)] == ["evt_3", "evt_4"]


def test_a_claim_of_an_empty_queue_changes_nothing(jobs: JobQueue, redis: Redis) -> None:
    redis.hset(WORKER, "state", "idle")
    before = everything(redis)
    assert jobs.claim("token", 60, 3) == []
    assert everything(redis) == before


def test_a_suspect_at_the_head_is_claimed_alone(jobs: JobQueue) -> None:
    make_suspect(jobs, "suspect")
    jobs.accept_all([new("evt_1"), new("evt_2")])
    claims = [[job.id for job in jobs.claim(f"t{n}", 60, 10)] for n in range(2)]
    assert claims == [["suspect"], ["evt_1", "evt_2"]]


def test_a_suspect_among_others_is_claimed_alone_and_in_its_turn(
    jobs: JobQueue, redis: Redis
) -> None:
    make_suspect(jobs, "suspect")
    jobs.accept_all([new("evt_1"), new("evt_2")])
    redis.lmove(LIST, LIST, "RIGHT", "LEFT")
    assert queued(redis) == ["evt_2", "suspect", "evt_1"]
    claims = [[job.id for job in jobs.claim(f"t{n}", 60, 10)] for n in range(4)]
    assert claims == [["evt_2"], ["suspect"], ["evt_1"], []]


def test_a_suspect_stays_one_when_it_is_given_back_or_deferred(jobs: JobQueue) -> None:
    make_suspect(jobs, "suspect")
    jobs.accept(new("evt_1"))
    jobs.give_back("token", [claim_one(jobs).id])
    (suspect,) = jobs.claim("token", 60, 10)
    jobs.defer(suspect, 60, "Busy", "try again")
    make_due(jobs.connection, "suspect")
    jobs.release()
    assert [[j.id for j in jobs.claim("token", 60, 10)] for _ in range(2)] == [
        ["evt_1"],
        ["suspect"],
    ]


def test_a_claim_skips_ids_whose_job_is_gone_or_not_queued(jobs: JobQueue, redis: Redis) -> None:
    jobs.accept(new("finished"))
    jobs.settle("token", [claim_one(jobs).id])
    jobs.accept_all([new("gone"), new("evt_1")])
    redis.delete("rq:job:gone")
    redis.rpush(LIST, "finished")
    assert [job.id for job in jobs.claim("token", 60, 10)] == ["evt_1"]
    assert place(redis, "finished") == "finished"
    assert places(redis, "gone") == queued(redis) == []
    assert not redis.exists("rq:job:gone")


def test_a_claim_names_its_worker(jobs: JobQueue, redis: Redis) -> None:
    redis.hset(WORKER, "state", "idle")
    jobs.accept(new("evt_1"))
    claim_one(jobs)
    assert field(redis, "evt_1", "worker_name") == "worker"
    assert redis.hget(WORKER, "state") == b"busy"


def test_a_worker_that_rq_has_forgotten_is_not_brought_back(jobs: JobQueue, redis: Redis) -> None:
    one_of_each(jobs)
    assert not redis.exists(WORKER)


# settle


def test_settle_keeps_the_job_for_an_hour_without_its_arguments(
    jobs: JobQueue, redis: Redis
) -> None:
    redis.hset(WORKER, "successful_job_count", 1)
    jobs.accept_all([new("evt_1", client_reference_id="user_1"), new("evt_2")])
    jobs.claim("token", 60, 2)
    assert jobs.settle("token", ["evt_1", "evt_2"]) == 2
    assert place(redis, "evt_1") == place(redis, "evt_2") == "finished"
    assert redis.hget("rq:job:evt_1", "data") == encode(EVENTS.function).encode()
    assert b"user_1" not in redis.dump("rq:job:evt_1")
    assert KEEP_FINISHED - 5 <= redis.ttl("rq:job:evt_1") <= KEEP_FINISHED
    assert abs(redis.zscore(FINISHED, "evt_1") - now(redis) - KEEP_FINISHED) < 5
    assert redis.hget(WORKER, "successful_job_count") == b"3"


def test_settle_finishes_those_that_are_still_its_own(jobs: JobQueue, redis: Redis) -> None:
    jobs.accept_all([new("evt_1"), new("evt_2")])
    jobs.claim("token", 60, 2)
    end_lease(redis, "evt_1")
    jobs.release()
    assert jobs.settle("token", ["evt_1", "evt_2"]) == 1
    assert (place(redis, "evt_1"), place(redis, "evt_2")) == ("queued", "finished")
    assert jobs.settle("token", []) == 0


def test_settle_sweeps_finished_jobs_whose_hour_is_over(jobs: JobQueue, redis: Redis) -> None:
    redis.zadd(FINISHED, {"old": now(redis) - 1})
    jobs.accept(new("evt_1"))
    jobs.settle("token", [claim_one(jobs).id])
    assert redis.zrange(FINISHED, 0, -1) == [b"evt_1"]


# defer and bury


def test_defer_counts_attempts_and_keeps_the_first_and_the_last_failure(
    jobs: JobQueue, redis: Redis
) -> None:
    jobs.accept(new("evt_1", n=1))
    failed_at = []
    for attempt in (1, 2):
        before = now(redis)
        assert jobs.defer(claim_one(jobs), 30, f"Error{attempt}", f"message {attempt}")
        assert place(redis, "evt_1") == "scheduled"
        assert before + 30 <= redis.zscore(SCHEDULED, "evt_1") <= now(redis) + 30
        assert field(redis, "evt_1", "attempts") == str(attempt)
        assert field(redis, "evt_1", "worker_name") is None
        failed_at.append(field(redis, "evt_1", "last_failed_at"))
        make_due(redis, "evt_1")
        assert jobs.release() == Released(due=1)
    assert failed_at[0] != failed_at[1]
    assert field(redis, "evt_1", "first_failed_at") == failed_at[0]
    assert field(redis, "evt_1", "error_class") == "Error2"
    assert field(redis, "evt_1", "error") == "message 2"
    job = claim_one(jobs)
    assert (job.attempts, decode(job.data)[1]) == (2, [{"n": 1}])


def test_bury_keeps_the_reason_and_the_call(jobs: JobQueue, redis: Redis) -> None:
    redis.hset(WORKER, "failed_job_count", 0)
    jobs.accept(new("evt_1", n=1))
    assert jobs.bury(claim_one(jobs), "last_attempt", "Broken", "it broke")
    assert place(redis, "evt_1") == "failed"
    kept = {name: field(redis, "evt_1", name) for name in ("reason", "error_class", "error")}
    assert kept == {"reason": "last_attempt", "error_class": "Broken", "error": "it broke"}
    assert field(redis, "evt_1", "attempts") == "1"
    assert decode(redis.hget("rq:job:evt_1", "data"))[1] == [{"n": 1}]
    assert redis.ttl("rq:job:evt_1") == -1
    assert redis.hget(WORKER, "failed_job_count") == b"1"


# A lost lease

ENDINGS: dict[str, Callable[[JobQueue, Claimed], object]] = {
    "settle": lambda jobs, job: jobs.settle(job.token, [job.id]),
    "defer": lambda jobs, job: jobs.defer(job, 1, "Late", "late"),
    "bury": lambda jobs, job: jobs.bury(job, "permanent_error", "Late", "late"),
    "give_back": lambda jobs, job: jobs.give_back(job.token, [job.id]),
}
ending = pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS.keys())


@ending
@pytest.mark.parametrize("now_at", ["queued", "claimed again", "settled", "buried", "scheduled"])
def test_a_worker_that_lost_its_lease_changes_nothing(
    jobs: JobQueue, redis: Redis, end: Callable[[JobQueue, Claimed], object], now_at: str
) -> None:
    jobs.accept(new("evt_1", n=1))
    late = claim_one(jobs, "late")
    end_lease(redis, "evt_1")
    jobs.release()
    if now_at != "queued":
        other = claim_one(jobs, "other")
    if now_at == "settled":
        jobs.settle("other", ["evt_1"])
    elif now_at == "buried":
        jobs.bury(other, "permanent_error", "Broken", "it broke")
    elif now_at == "scheduled":
        jobs.defer(other, 60, "Busy", "try again")
    before = everything(redis)
    assert not end(jobs, late)
    assert everything(redis) == before


@ending
def test_an_ending_sent_twice_is_one_ending(
    jobs: JobQueue, redis: Redis, end: Callable[[JobQueue, Claimed], object]
) -> None:
    jobs.accept(new("evt_1"))
    job = claim_one(jobs)
    assert end(jobs, job)
    before = everything(redis)
    assert not end(jobs, job)
    assert everything(redis) == before


@ending
def test_a_job_deleted_while_it_ran_is_not_brought_back(
    jobs: JobQueue, redis: Redis, end: Callable[[JobQueue, Claimed], object]
) -> None:
    jobs.accept(new("evt_1"))
    job = claim_one(jobs)
    redis.delete("rq:job:evt_1")
    assert not end(jobs, job)
    assert places(redis, "evt_1") == []
    assert not redis.exists("rq:job:evt_1")


# release


def test_an_expired_lease_puts_its_job_back(jobs: JobQueue, redis: Redis) -> None:
    jobs.accept_all([new("evt_1", n=1), new("evt_2")])
    claim_one(jobs)
    end_lease(redis, "evt_1")
    assert jobs.release() == Released(expired=1)
    assert place(redis, "evt_1") == "queued"
    assert queued(redis) == ["evt_2", "evt_1"]
    assert field(redis, "evt_1", "worker_name") is None
    jobs.claim("other", 60, 1)
    assert decode(claim_one(jobs).data)[1] == [{"n": 1}]


def test_a_lease_ends_by_itself_when_its_time_is_over(jobs: JobQueue, redis: Redis) -> None:
    jobs.accept(new("evt_1"))
    jobs.claim("token", 0.05, 1)
    deadline = time.monotonic() + 10
    while jobs.release() != Released(expired=1):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert place(redis, "evt_1") == "queued"


def test_a_live_lease_and_a_later_schedule_are_left_alone(jobs: JobQueue, redis: Redis) -> None:
    jobs.accept_all([new("evt_1"), new("evt_2", delay=60)])
    claim_one(jobs)
    before = everything(redis)
    assert jobs.release() == Released()
    assert everything(redis) == before


def test_a_due_job_is_queued(jobs: JobQueue, redis: Redis) -> None:
    jobs.accept(new("evt_1", delay=60))
    make_due(redis, "evt_1")
    assert jobs.release() == Released(due=1)
    assert place(redis, "evt_1") == "queued"


def test_a_job_that_kills_its_workers_is_buried(jobs: JobQueue, redis: Redis) -> None:
    jobs.accept(new("evt_1"))
    for time_ in range(1, MOST_EXPIRIES + 1):
        claim_one(jobs, f"t{time_}")
        end_lease(redis, "evt_1")
        last = time_ == MOST_EXPIRIES
        assert jobs.release() == (Released(buried=1) if last else Released(expired=1))
    assert place(redis, "evt_1") == "failed"
    assert field(redis, "evt_1", "reason") == "crashed_worker"


def test_release_drops_leases_of_jobs_that_are_gone_or_not_started(
    jobs: JobQueue, redis: Redis
) -> None:
    jobs.accept_all([new("gone"), new("canceled")])
    jobs.claim("token", 60, 2)
    redis.delete("rq:job:gone")
    redis.hset("rq:job:canceled", "status", "canceled")
    end_lease(redis, "gone")
    end_lease(redis, "canceled")
    assert jobs.release() == Released()
    assert redis.zcard(STARTED) == 0
    assert queued(redis) == []
    assert not redis.exists("rq:job:gone")


def test_release_drops_schedules_of_jobs_that_are_gone(jobs: JobQueue, redis: Redis) -> None:
    jobs.accept(new("gone", delay=60))
    redis.delete("rq:job:gone")
    make_due(redis, "gone")
    assert jobs.release() == Released()
    assert places(redis, "gone") == []
    assert not redis.exists("rq:job:gone")


def test_one_release_moves_no_more_than_its_share(
    jobs: JobQueue, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "RELEASED_AT_ONCE", 3)
    jobs.accept_all([new(f"evt_{n}") for n in range(4)])
    for job in jobs.claim("token", 60, 4):
        end_lease(redis, job.id)
    jobs.accept_all([new(f"later_{n}", delay=60) for n in range(4)])
    for n in range(4):
        make_due(redis, f"later_{n}")
    assert jobs.release() == Released(expired=3, due=3)
    assert jobs.release() == Released(expired=1, due=1)
    assert jobs.release() == Released()


# give_back, replay, discard, rewrite


def test_jobs_given_back_come_next_in_their_old_order(jobs: JobQueue, redis: Redis) -> None:
    jobs.accept_all([new(f"evt_{n}") for n in range(5)])
    jobs.claim("token", 60, 4)
    assert jobs.settle("token", ["evt_0"]) == 1
    assert jobs.give_back("token", ["evt_1", "evt_2", "evt_3"]) == 3
    assert queued(redis) == ["evt_1", "evt_2", "evt_3", "evt_4"]
    assert place(redis, "evt_1") == "queued"
    assert field(redis, "evt_1", "expiries") is field(redis, "evt_1", "attempts") is None
    assert jobs.give_back("token", []) == 0


def test_a_replayed_job_begins_anew(jobs: JobQueue, redis: Redis) -> None:
    make_suspect(jobs, "evt_1")
    jobs.bury(claim_one(jobs), "permanent_error", "Broken", "it broke")
    assert jobs.replay(["evt_1"]) == 1
    assert place(redis, "evt_1") == "queued"
    for name in ("attempts", "expiries", "reason", "exc_info", "ended_at"):
        assert field(redis, "evt_1", name) is None
    jobs.accept(new("evt_2"))
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
    assert jobs.accept(new("evt_1")) == "enqueued"


def test_a_dead_letter_is_rewritten_where_it_is(jobs: JobQueue, redis: Redis) -> None:
    dead(jobs, "evt_1")
    assert jobs.rewrite("evt_1", {"n": 2}) is True
    assert place(redis, "evt_1") == "failed"
    jobs.replay(["evt_1"])
    assert decode(claim_one(jobs).data) == (EVENTS.function, [{"n": 2}])


@pytest.mark.parametrize(
    "id", ["queued", "started", "expired", "scheduled", "due", "finished", "absent"]
)
def test_only_a_dead_letter_is_rewritten(jobs: JobQueue, redis: Redis, id: str) -> None:
    one_of_each(jobs)
    before = everything(redis)
    assert jobs.rewrite(id, {"n": 2}) is False
    assert everything(redis) == before


def test_a_dead_letter_whose_job_is_gone_is_not_rewritten(jobs: JobQueue, redis: Redis) -> None:
    dead(jobs, "gone")
    redis.delete("rq:job:gone")
    assert jobs.rewrite("gone", {"n": 2}) is False
    assert not redis.exists("rq:job:gone")


def test_counts_say_how_many_jobs_are_where(jobs: JobQueue) -> None:
    one_of_each(jobs)
    assert jobs.counts() == {"queued": 1, "started": 2, "scheduled": 2, "failed": 1}


def test_the_jobs_of_a_holder_that_is_known_to_be_dead_are_queued_at_once(
    jobs: JobQueue, redis: Redis
) -> None:
    for number in range(3):
        jobs.accept(new(f"evt_{number}"))
    assert [job.id for job in jobs.claim("house-e1-a", 60, 2)] == ["evt_0", "evt_1"]
    assert [job.id for job in jobs.claim("house-e2-a", 60, 1)] == ["evt_2"]
    assert jobs.release(dead_holder="house-e1-") == Released(expired=2)
    assert [place(redis, f"evt_{number}") for number in range(3)] == ["queued", "queued", "started"]
