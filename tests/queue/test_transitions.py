"""Every transition of a job, and each of its refusals."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from redis import Redis
from rq.utils import utcparse

from app.queue.model import EFFECTS, EVENTS, Claimed, Rescued, decode, encode
from app.queue.transitions import KEEP_FINISHED, JobQueue
from tests.support.places import (
    FAILED,
    FINISHED,
    LIST,
    SCHEDULED,
    claim_one,
    dead,
    end_lease,
    everything,
    field,
    make_due,
    make_suspect,
    new,
    now,
    one_of_each,
    place,
    places,
    queued,
)

WORKER = "rq:worker:worker"


def score(redis: Redis, registry: str, id: str) -> float:
    """The job's score in a registry that holds it."""
    found = redis.zscore(registry, id)
    assert found is not None
    return found


def stored(redis: Redis, key: str) -> bytes:
    """The call in a job's hash."""
    data = redis.hget(key, "data")
    assert isinstance(data, bytes)
    return data


# enqueue


def test_an_absent_job_is_queued_with_its_call_and_times(jobs: JobQueue, redis: Redis) -> None:
    before = redis.time()
    assert jobs.enqueue(new("evt_1", n=1)) == "enqueued"
    after = redis.time()
    assert place(redis, "evt_1") == "queued"
    assert decode(stored(redis, "rq:job:evt_1")) == ("workers.jobs.process_event", [{"n": 1}])
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
    assert jobs.enqueue(new(id, n=2)) == "duplicate"
    assert everything(redis) == before


def test_a_resend_of_a_dead_letter_puts_it_back_as_a_new_job(jobs: JobQueue, redis: Redis) -> None:
    dead(jobs, "evt_1")
    assert jobs.enqueue(new("evt_1", n=2)) == "replayed"
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
    assert jobs.enqueue(new("evt_1", n=2)) == "replayed"
    assert place(redis, "evt_1") == "queued"


def test_a_dead_effect_is_a_duplicate_until_someone_replays_it(redis: Redis) -> None:
    effects = JobQueue(redis, EFFECTS)
    effects.enqueue(new("effect_1", n=1))
    effects.bury(claim_one(effects), "permanent_error", "Broken", "it broke")
    before = everything(redis)
    assert effects.enqueue(new("effect_1", n=2)) == "duplicate"
    assert everything(redis) == before
    # Named by no registry it is nowhere, and only accepting it can bring it back.
    redis.zrem("rq:failed:identity-effects", "effect_1")
    assert effects.enqueue(new("effect_1", n=2)) == "replayed"
    assert [job.id for job in effects.claim("token", 60, 2)] == ["effect_1"]


def test_a_delayed_job_is_scheduled_and_cannot_be_claimed_before(
    jobs: JobQueue, redis: Redis
) -> None:
    before = now(redis)
    assert jobs.enqueue(new("evt_1", delay=60)) == "enqueued"
    assert place(redis, "evt_1") == "scheduled"
    assert before + 60 <= score(redis, SCHEDULED, "evt_1") <= now(redis) + 60
    assert redis.smembers("rq:queues") == {LIST.encode()}
    assert jobs.rescue() == Rescued()
    assert jobs.claim("token", 60, 1) == []


def test_a_finished_job_is_new_again_after_its_hour(jobs: JobQueue, redis: Redis) -> None:
    jobs.enqueue(new("evt_1"))
    jobs.complete("token", [claim_one(jobs).id])
    redis.pexpireat("rq:job:evt_1", 1)
    assert jobs.enqueue(new("evt_1")) == "enqueued"
    assert claim_one(jobs).id == "evt_1"


def test_many_jobs_are_taken_at_once_and_each_is_answered_for_itself(
    jobs: JobQueue, redis: Redis
) -> None:
    dead(jobs, "evt_1")
    answers = jobs.enqueue_all([new("evt_1"), new("evt_2"), new("evt_2")])
    assert answers == ["replayed", "enqueued", "duplicate"]
    assert queued(redis) == ["evt_1", "evt_2"]
    assert jobs.enqueue_all([]) == []


@pytest.mark.parametrize(
    "reference",
    ["r" * 5000, "Zoë 🦊 漢字", "\x00\x1f\x7f\r\n\t", "\"'\\%s{}[]"],
    ids=["long", "unicode", "control", "quotes"],
)
def test_a_value_of_any_characters_comes_back_as_it_was(jobs: JobQueue, reference: str) -> None:
    jobs.enqueue(new("evt_1", client_reference_id=reference))
    assert decode(claim_one(jobs).data)[1] == [{"client_reference_id": reference}]


# claim


def test_a_claim_takes_up_to_so_many_jobs_the_oldest_first(jobs: JobQueue, redis: Redis) -> None:
    jobs.enqueue_all([new(f"evt_{n}", n=n) for n in range(5)])
    claimed = jobs.claim("token", 60, 3)
    assert [job.id for job in claimed] == ["evt_0", "evt_1", "evt_2"]
    assert [decode(job.data)[1] for job in claimed] == [[{"n": n}] for n in range(3)]
    assert {(job.attempts, job.token) for job in claimed} == {(0, "token")}
    assert queued(redis) == ["evt_3", "evt_4"]
    assert [job.id for job in jobs.claim("next", 60, 3)] == ["evt_3", "evt_4"]


def test_a_claim_whose_answer_was_lost_is_answered_again_and_takes_no_more(
    jobs: JobQueue, redis: Redis
) -> None:
    jobs.enqueue_all([new(f"evt_{n}", n=n) for n in range(5)])
    first = jobs.claim("token", 60, 3)
    before = everything(redis)
    assert jobs.claim("token", 60, 3) == first
    assert everything(redis) == before
    jobs.complete("token", ["evt_0"])
    assert jobs.claim("token", 60, 3) == first[1:]


def test_a_claim_that_is_over_is_made_anew(jobs: JobQueue, redis: Redis) -> None:
    jobs.enqueue_all([new("evt_1"), new("evt_2")])
    claim_one(jobs)
    end_lease(redis, "evt_1")
    jobs.rescue()
    assert claim_one(jobs).id == "evt_2"


def test_two_workers_never_hear_of_each_others_claims(jobs: JobQueue, redis: Redis) -> None:
    jobs.enqueue_all([new("evt_1"), new("evt_2")])
    other = JobQueue(redis, EVENTS, "other")
    assert [claim_one(jobs, "a").id, claim_one(other, "b").id] == ["evt_1", "evt_2"]
    assert [claim_one(jobs, "a").id, claim_one(other, "b").id] == ["evt_1", "evt_2"]


def test_a_claim_of_an_empty_queue_changes_nothing(jobs: JobQueue, redis: Redis) -> None:
    redis.hset(WORKER, "state", "idle")
    before = everything(redis)
    assert jobs.claim("token", 60, 3) == []
    assert everything(redis) == before


def test_a_suspect_at_the_head_is_claimed_alone(jobs: JobQueue) -> None:
    make_suspect(jobs, "suspect")
    jobs.enqueue_all([new("evt_1"), new("evt_2")])
    claims = [[job.id for job in jobs.claim(f"t{n}", 60, 10)] for n in range(2)]
    assert claims == [["suspect"], ["evt_1", "evt_2"]]


def test_a_suspect_among_others_is_claimed_alone_and_in_its_turn(
    jobs: JobQueue, redis: Redis
) -> None:
    make_suspect(jobs, "suspect")
    jobs.enqueue_all([new("evt_1"), new("evt_2")])
    redis.lmove(LIST, LIST, "RIGHT", "LEFT")
    assert queued(redis) == ["evt_2", "suspect", "evt_1"]
    claims = [[job.id for job in jobs.claim(f"t{n}", 60, 10)] for n in range(4)]
    assert claims == [["evt_2"], ["suspect"], ["evt_1"], []]


def test_a_suspect_stays_one_when_it_is_given_back_or_deferred(jobs: JobQueue) -> None:
    make_suspect(jobs, "suspect")
    jobs.enqueue(new("evt_1"))
    jobs.release("token", [claim_one(jobs).id])
    (suspect,) = jobs.claim("token", 60, 10)
    jobs.retry_later(suspect, 60, "Busy", "try again")
    make_due(jobs.connection, "suspect")
    jobs.promote()
    assert [[j.id for j in jobs.claim(f"t{n}", 60, 10)] for n in range(2)] == [
        ["evt_1"],
        ["suspect"],
    ]


def test_a_claim_skips_ids_whose_job_is_gone_or_not_queued(jobs: JobQueue, redis: Redis) -> None:
    jobs.enqueue(new("finished"))
    jobs.complete("token", [claim_one(jobs).id])
    jobs.enqueue_all([new("gone"), new("evt_1")])
    redis.delete("rq:job:gone")
    redis.rpush(LIST, "finished")
    assert [job.id for job in jobs.claim("token", 60, 10)] == ["evt_1"]
    assert place(redis, "finished") == "finished"
    assert places(redis, "gone") == queued(redis) == []
    assert not redis.exists("rq:job:gone")


def test_a_claim_names_its_worker(jobs: JobQueue, redis: Redis) -> None:
    redis.hset(WORKER, "state", "idle")
    jobs.enqueue(new("evt_1"))
    claim_one(jobs)
    assert field(redis, "evt_1", "worker_name") == "worker"
    assert redis.hget(WORKER, "state") == b"busy"


def test_a_worker_that_rq_has_forgotten_is_not_brought_back(jobs: JobQueue, redis: Redis) -> None:
    one_of_each(jobs)
    assert not redis.exists(WORKER)


# complete


def test_settle_keeps_the_job_for_an_hour_without_its_arguments(
    jobs: JobQueue, redis: Redis
) -> None:
    redis.hset(WORKER, "successful_job_count", 1)
    jobs.enqueue_all([new("evt_1", client_reference_id="user_1"), new("evt_2")])
    jobs.claim("token", 60, 2)
    assert jobs.complete("token", ["evt_1", "evt_2"]) == 2
    assert place(redis, "evt_1") == place(redis, "evt_2") == "finished"
    assert stored(redis, "rq:job:evt_1") == encode("")
    assert b"user_1" not in (redis.dump("rq:job:evt_1") or b"")
    assert KEEP_FINISHED - 5 <= redis.ttl("rq:job:evt_1") <= KEEP_FINISHED
    assert abs(score(redis, FINISHED, "evt_1") - now(redis) - KEEP_FINISHED) < 5
    assert redis.hget(WORKER, "successful_job_count") == b"3"


def test_settle_finishes_those_that_are_still_its_own(jobs: JobQueue, redis: Redis) -> None:
    jobs.enqueue_all([new("evt_1"), new("evt_2")])
    jobs.claim("token", 60, 2)
    end_lease(redis, "evt_1")
    jobs.rescue()
    assert jobs.complete("token", ["evt_1", "evt_2"]) == 1
    assert (place(redis, "evt_1"), place(redis, "evt_2")) == ("queued", "finished")
    assert jobs.complete("token", []) == 0


def test_settle_sweeps_finished_jobs_whose_hour_is_over(jobs: JobQueue, redis: Redis) -> None:
    redis.zadd(FINISHED, {"old": now(redis) - 1})
    jobs.enqueue(new("evt_1"))
    jobs.complete("token", [claim_one(jobs).id])
    assert redis.zrange(FINISHED, 0, -1) == [b"evt_1"]


# defer and bury


def test_defer_counts_attempts_and_keeps_the_first_and_the_last_failure(
    jobs: JobQueue, redis: Redis
) -> None:
    jobs.enqueue(new("evt_1", n=1))
    failed_at = []
    for attempt in (1, 2):
        before = now(redis)
        assert jobs.retry_later(claim_one(jobs), 30, f"Error{attempt}", f"message {attempt}")
        assert place(redis, "evt_1") == "scheduled"
        assert before + 30 <= score(redis, SCHEDULED, "evt_1") <= now(redis) + 30
        assert field(redis, "evt_1", "attempts") == str(attempt)
        assert field(redis, "evt_1", "worker_name") is None
        failed_at.append(field(redis, "evt_1", "last_failed_at"))
        make_due(redis, "evt_1")
        assert jobs.promote() == 1
    assert failed_at[0] != failed_at[1]
    assert field(redis, "evt_1", "first_failed_at") == failed_at[0]
    assert field(redis, "evt_1", "error_class") == "Error2"
    assert field(redis, "evt_1", "error") == "message 2"
    job = claim_one(jobs)
    assert (job.attempts, decode(job.data)[1]) == (2, [{"n": 1}])


def test_defer_counts_a_timeout_beside_the_attempts(jobs: JobQueue, redis: Redis) -> None:
    jobs.enqueue(new("evt_1"))
    for timed_out in (True, False):
        assert jobs.retry_later(claim_one(jobs), 30, "Late", "late", timed_out=timed_out)
        make_due(redis, "evt_1")
        jobs.promote()
    assert field(redis, "evt_1", "attempts") == "2"
    assert jobs.timeouts_of("evt_1") == 1


def test_bury_keeps_the_reason_and_the_call(jobs: JobQueue, redis: Redis) -> None:
    redis.hset(WORKER, "failed_job_count", 0)
    jobs.enqueue(new("evt_1", n=1))
    assert jobs.bury(claim_one(jobs), "last_attempt", "Broken", "it broke")
    assert place(redis, "evt_1") == "failed"
    kept = {name: field(redis, "evt_1", name) for name in ("reason", "error_class", "error")}
    assert kept == {"reason": "last_attempt", "error_class": "Broken", "error": "it broke"}
    assert field(redis, "evt_1", "attempts") == "1"
    assert decode(stored(redis, "rq:job:evt_1"))[1] == [{"n": 1}]
    assert redis.ttl("rq:job:evt_1") == -1
    assert redis.hget(WORKER, "failed_job_count") == b"1"


# A lost lease

ENDINGS: dict[str, Callable[[JobQueue, Claimed], object]] = {
    "complete": lambda jobs, job: jobs.complete(job.token, [job.id]),
    "retry_later": lambda jobs, job: jobs.retry_later(job, 1, "Late", "late"),
    "bury": lambda jobs, job: jobs.bury(job, "permanent_error", "Late", "late"),
    "release": lambda jobs, job: jobs.release(job.token, [job.id]),
}
ending = pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS.keys())


@ending
@pytest.mark.parametrize("now_at", ["queued", "claimed again", "completed", "buried", "scheduled"])
def test_a_worker_that_lost_its_lease_changes_nothing(
    jobs: JobQueue, redis: Redis, end: Callable[[JobQueue, Claimed], object], now_at: str
) -> None:
    jobs.enqueue(new("evt_1", n=1))
    late = claim_one(jobs, "late")
    end_lease(redis, "evt_1")
    jobs.rescue()
    if now_at != "queued":
        other = claim_one(jobs, "other")
    if now_at == "completed":
        jobs.complete("other", ["evt_1"])
    elif now_at == "buried":
        jobs.bury(other, "permanent_error", "Broken", "it broke")
    elif now_at == "scheduled":
        jobs.retry_later(other, 60, "Busy", "try again")
    before = everything(redis)
    assert not end(jobs, late)
    assert everything(redis) == before


@ending
def test_an_ending_sent_twice_is_one_ending(
    jobs: JobQueue, redis: Redis, end: Callable[[JobQueue, Claimed], object]
) -> None:
    jobs.enqueue(new("evt_1"))
    job = claim_one(jobs)
    assert end(jobs, job)
    before = everything(redis)
    assert not end(jobs, job)
    assert everything(redis) == before


@ending
def test_a_job_deleted_while_it_ran_is_not_brought_back(
    jobs: JobQueue, redis: Redis, end: Callable[[JobQueue, Claimed], object]
) -> None:
    jobs.enqueue(new("evt_1"))
    job = claim_one(jobs)
    redis.delete("rq:job:evt_1")
    assert not end(jobs, job)
    assert places(redis, "evt_1") == []
    assert not redis.exists("rq:job:evt_1")
