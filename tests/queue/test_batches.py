"""Many jobs in one script, each taken or refused by itself; what is kept of a finished one."""

from __future__ import annotations

import asyncio
from typing import cast

from redis import Redis
from rq import Queue

from app.domain.errors import IdentityError, JobRefused
from app.local.valkey import Valkey
from app.queue.connection import open_async_redis
from app.queue.enqueuing import AsyncJobQueue
from app.queue.model import EVENTS, MAX_BATCH, NewJob
from app.queue.transitions import JobQueue
from tests.support.places import FINISHED, LIST, members, new, place, queued
from tests.support.workers import event_job

FIVE = [f"evt_{number}" for number in range(5)]


def enqueue_async(valkey: Valkey, *jobs: NewJob) -> list[str | IdentityError]:
    """Enqueue jobs in one round trip, as the web process does."""

    async def run() -> list[str | IdentityError]:
        async with open_async_redis(valkey.url) as client:
            return await AsyncJobQueue(client, EVENTS).enqueue_all(jobs)

    return asyncio.run(run())


def test_a_job_whose_key_is_of_another_type_is_refused_and_the_others_are_taken(
    redis: Redis, valkey: Valkey
) -> None:
    redis.set("rq:job:evt_2", "a string")
    outcomes = enqueue_async(valkey, *map(new, FIVE))
    refused = outcomes.pop(2)
    assert outcomes == ["enqueued"] * 4
    assert isinstance(refused, JobRefused)
    assert "WRONGTYPE" in str(refused)
    assert queued(redis) == ["evt_0", "evt_1", "evt_3", "evt_4"]
    assert {place(redis, id) for id in queued(redis)} == {"queued"}
    assert redis.get("rq:job:evt_2") == b"a string"


def test_a_job_of_another_application_is_neither_taken_over_nor_taken_for_ours(
    redis: Redis, valkey: Valkey
) -> None:
    theirs = Queue("mail", connection=redis).enqueue("time.sleep", 0, job_id="evt_2")
    before = redis.hgetall("rq:job:evt_2")
    (refused,) = enqueue_async(valkey, new("evt_2"))
    assert isinstance(refused, JobRefused)
    assert "another RQ application" in str(refused)
    assert redis.hgetall("rq:job:evt_2") == before
    assert queued(redis) == []
    theirs.delete()
    assert enqueue_async(valkey, new("evt_2")) == ["enqueued"]


def test_a_refusal_is_an_outcome_among_others(jobs: JobQueue, redis: Redis) -> None:
    redis.set("rq:job:evt_2", "a string")
    outcomes = jobs.enqueue_all(map(new, FIVE))
    assert outcomes == ["enqueued", "enqueued", "refused", "enqueued", "enqueued"]
    assert queued(redis) == ["evt_0", "evt_1", "evt_3", "evt_4"]


def test_an_id_that_comes_twice_in_one_call_is_taken_once(jobs: JobQueue, redis: Redis) -> None:
    assert jobs.enqueue_all(map(new, ["evt_1", "evt_2", "evt_1"])) == [
        "enqueued",
        "enqueued",
        "duplicate",
    ]
    assert queued(redis) == ["evt_1", "evt_2"]


def test_more_jobs_than_a_script_takes_are_taken_in_their_order(
    jobs: JobQueue, redis: Redis
) -> None:
    ids = [f"evt_{number}" for number in range(2 * MAX_BATCH + 1)]
    redis.config_resetstat()
    assert jobs.enqueue_all(map(new, ids)) == ["enqueued"] * len(ids)
    assert redis.info("commandstats")["cmdstat_evalsha"]["calls"] == 3
    assert queued(redis) == ids


# What is kept of a finished job


def complete(jobs: JobQueue, *ids: str) -> None:
    assert jobs.enqueue_all(map(event_job, ids)) == ["enqueued"] * len(ids)
    claimed = jobs.claim("token", 60, len(ids))
    assert jobs.complete("token", [job.id for job in claimed]) == len(ids)


def test_a_finished_job_keeps_what_rq_shows_of_it_in_less_than_300_bytes(
    jobs: JobQueue, redis: Redis
) -> None:
    complete(jobs, "evt_1NG8Du2eZvKYlo2CUI79vXWy")
    key = "rq:job:evt_1NG8Du2eZvKYlo2CUI79vXWy"
    fields = {name.decode() for name in cast(list[bytes], redis.hkeys(key))}
    assert fields == {"status", "data", "ended_at", "description", "origin"}
    assert cast(int, redis.memory_usage(key)) < 300


def test_entries_of_finished_jobs_past_their_hour_are_swept_a_few_at_a_time_the_oldest_first(
    jobs: JobQueue, redis: Redis
) -> None:
    redis.zadd(FINISHED, {f"old_{score:02}": score for score in range(1, 51)})
    complete(jobs, "evt_1")
    assert members(redis, FINISHED) == [*[f"old_{n}" for n in range(13, 51)], "evt_1"]
    complete(jobs, "evt_2", "evt_3")
    assert members(redis, FINISHED)[0] == "old_27"
    for number in range(4, 7):
        complete(jobs, f"evt_{number}")
    assert members(redis, FINISHED) == [f"evt_{n}" for n in range(1, 7)]
    assert not redis.exists(LIST)
