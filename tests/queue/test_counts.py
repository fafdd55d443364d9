"""What the metrics tell is counted in the step that it tells of: each job once, come what may."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis import Redis

from app.local.valkey import Valkey
from app.queue.connection import open_async_redis
from app.queue.counts import (
    LAG_BOUNDS,
    LAG_BOUNDS_TEXT,
    TIME_BOUNDS,
    UNKNOWN,
    Counts,
    Kind,
    Tally,
    kind_of,
    kind_of_data,
    read_counts,
)
from app.queue.enqueuing import AsyncJobQueue
from app.queue.model import EFFECTS, EVENTS, FORMAT, Call, NewJob, effect_job, encode
from app.queue.transitions import MAX_EXPIRIES, JobQueue
from tests.support.ledger import POLICY, observation
from tests.support.places import claim_one, dead, end_lease, new, now, place
from tests.support.workers import event_job, payload

KEY = "identity:counts:events"


def counted(redis: Redis) -> Counts:
    return read_counts(redis, [EVENTS])[EVENTS.name]


def deliver(valkey: Valkey, *jobs: NewJob) -> None:
    """Enqueue them as the web process does."""

    async def send() -> None:
        client = open_async_redis(valkey.url)
        await AsyncJobQueue(client, EVENTS).enqueue_all(jobs)
        await client.aclose()

    asyncio.run(send())


# --- deliveries --------------------------------------------------------------------------------


def test_deliveries_are_counted_by_what_becomes_of_them(
    jobs: JobQueue, redis: Redis, valkey: Valkey
) -> None:
    dead(jobs, "evt_dead")
    redis.set("rq:job:evt_else", "another tool's")
    redis.hset("rq:job:evt_foreign", mapping={"status": "queued", "origin": "mail"})
    deliver(valkey, new("evt_1"), new("evt_2"))
    deliver(valkey, new("evt_1"), new("evt_dead"), new("evt_else"), new("evt_foreign"))
    outcomes = {"enqueued": 2, "duplicate": 1, "replayed": 1, "refused": 2}
    assert counted(redis).of("delivery") == outcomes


def test_what_no_delivery_brought_counts_as_none(jobs: JobQueue, redis: Redis) -> None:
    jobs.enqueue(new("evt_1"))
    jobs.enqueue_absent([new("evt_2")])
    jobs.enqueue_missing([new("evt_3")])
    assert counted(redis).of("delivery") == {}


# --- jobs that end -----------------------------------------------------------------------------


def test_completed_jobs_are_counted_by_their_names(jobs: JobQueue, redis: Redis) -> None:
    jobs.enqueue_all([new("evt_1"), new("evt_2"), new("evt_3")])
    jobs.claim("token", 60, 3)
    kinds = [Kind("verified"), Kind("canceled"), Kind("verified")]
    jobs.complete("token", ["evt_1", "evt_2", "evt_3"], kinds)
    assert counted(redis).jobs() == {("verified", "completed"): 2, ("canceled", "completed"): 1}


def test_a_job_whose_lease_was_lost_is_not_counted(jobs: JobQueue, redis: Redis) -> None:
    jobs.enqueue_all([new("evt_1"), new("evt_2")])
    jobs.claim("token", 60, 2)
    end_lease(redis, "evt_2")
    jobs.rescue()
    for _ in range(2):  # the second call finds none of it
        jobs.complete("token", ["evt_1", "evt_2"], [Kind("verified", 1), Kind("canceled", 1)])
    assert counted(redis).jobs() == {("verified", "completed"): 1}
    assert counted(redis).of("lag", "le") == {"inf": 1}


def test_what_is_deferred_and_buried_is_counted_by_its_name(jobs: JobQueue, redis: Redis) -> None:
    jobs.enqueue_all([event_job("evt_1", "verified", "verified"), event_job("evt_2")])
    first, second = jobs.claim("token", 60, 2)
    jobs.retry_later(first, 60, "Busy", "try again")
    jobs.bury(second, "permanent_error", "Broken", "it broke")
    assert counted(redis).jobs() == {("verified", "deferred"): 1, ("created", "buried"): 1}
    assert counted(redis).of("buried") == {"permanent_error": 1}


def test_an_effect_is_counted_by_its_kind(redis: Redis, deployment: Any) -> None:
    effects = JobQueue(redis, EFFECTS)
    (applied,) = deployment.ledger.apply([observation("verified", 100)], policy=POLICY, now=100)
    effects.enqueue(effect_job(applied.effects[0], 100))
    effects.bury(claim_one(effects), "timed_out", "JobTimeoutException", "took too long")
    found = read_counts(redis, [EFFECTS])[EFFECTS.name]
    assert found.jobs() == {("notify", "buried"): 1}
    assert found.of("buried") == {"timed_out": 1}


def test_what_is_left_to_a_later_release_is_counted(jobs: JobQueue, redis: Redis) -> None:
    jobs.enqueue(new("evt_1"))
    jobs.leave(claim_one(jobs), 30)
    assert counted(redis).jobs() == {("other", "left"): 1}


def test_codes_of_failed_attempts_are_counted_until_there_are_too_many(
    jobs: JobQueue, redis: Redis
) -> None:
    redis.hset(KEY, mapping={f"job:requires_input/code_{n}:completed": 1 for n in range(300)})
    jobs.enqueue_all([new("evt_1"), new("evt_2"), new("evt_3")])
    jobs.claim("token", 60, 3)
    names = ("requires_input/code_7", "requires_input/new", "unheard_of")
    jobs.complete("token", ["evt_1", "evt_2", "evt_3"], [Kind(name) for name in names])
    found = counted(redis).jobs()
    assert found["requires_input/code_7", "completed"] == 2
    assert found["requires_input/other", "completed"] == 1
    assert found["other", "completed"] == 1
    assert redis.hlen(KEY) == 302


# --- leases ------------------------------------------------------------------------------------


def test_leases_that_were_lost_are_counted_by_cause(jobs: JobQueue, redis: Redis) -> None:
    jobs.enqueue_all([new("evt_1"), new("evt_2"), new("evt_3")])
    jobs.claim("house-1", 60, 1)
    jobs.claim("house-2", 60, 2)
    end_lease(redis, "evt_1")
    jobs.rescue()
    jobs.rescue("house-2")
    assert counted(redis).of("lease") == {"expired": 1, "worker_died": 2}


def test_the_lease_of_what_kills_its_workers_is_counted_each_time(
    jobs: JobQueue, redis: Redis
) -> None:
    jobs.enqueue(new("evt_1"))
    for _ in range(MAX_EXPIRIES):
        claim_one(jobs)
        end_lease(redis, "evt_1")
        jobs.rescue()
    assert counted(redis).of("lease") == {"expired": MAX_EXPIRIES}


# --- lag ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age", "bound"), [(-100, "1"), (45, "60"), (299, "300"), (7_000, "21600"), (900_000, "inf")]
)
def test_an_events_age_at_its_completion_falls_into_its_bucket(
    jobs: JobQueue, redis: Redis, age: int, bound: str
) -> None:
    jobs.enqueue(new("evt_1"))
    claim_one(jobs)
    jobs.complete("token", ["evt_1"], [Kind("verified", int(now(redis)) - age)])
    found = counted(redis)
    assert found.of("lag", "le") == {bound: 1}
    assert max(age, 0) <= found.histogram("lag", bounds=LAG_BOUNDS).sum < max(age, 0) + 5


def test_the_ages_of_a_batch_add_up(jobs: JobQueue, redis: Redis) -> None:
    """Their sum in milliseconds has more digits than Lua writes of a number by itself."""
    ids = [f"evt_{n}" for n in range(100)]
    jobs.enqueue_all([new(id) for id in ids])
    jobs.claim("token", 60, 100)
    jobs.complete("token", ids, [Kind("verified", 1)] * 100)
    histogram = counted(redis).histogram("lag", bounds=LAG_BOUNDS)
    assert histogram.buckets[-1] == ("inf", 100)
    assert histogram.sum == pytest.approx(100 * now(redis), rel=1e-6)


def test_what_has_no_time_of_stripes_counts_for_no_age(jobs: JobQueue, redis: Redis) -> None:
    jobs.enqueue(new("evt_1"))
    claim_one(jobs)
    jobs.complete("token", ["evt_1"], [Kind("notify")])
    assert counted(redis).of("lag", "le") == {}


@pytest.mark.parametrize("bound", LAG_BOUNDS)
def test_the_scripts_name_a_bound_as_its_reader_does(redis: Redis, bound: float) -> None:
    text = "local b = cjson.decode(ARGV[1]); return '' .. b[tonumber(ARGV[2])]"
    named = redis.eval(text, 0, LAG_BOUNDS_TEXT, LAG_BOUNDS.index(bound) + 1)
    assert named == f"{bound:g}".encode()


# --- what a worker counts itself ----------------------------------------------------------------


def test_a_tally_goes_along_with_whatever_ends_a_job_next(jobs: JobQueue, redis: Redis) -> None:
    jobs.enqueue_all([new(f"evt_{n}") for n in range(3)])
    first, second, third = jobs.claim("token", 60, 3)
    jobs.tally.add("sent", "callback", "delivered")
    jobs.complete("token", [first.id])
    jobs.tally.add("sent", "callback", "failed")
    jobs.retry_later(second, 60, "Busy", "try again")
    jobs.tally.add("sent", "callback", "failed", by=2)
    jobs.bury(third, "permanent_error", "Broken", "it broke")
    assert counted(redis).of("sent", "callback") == {"delivered": 1, "failed": 3}
    assert jobs.tally.take() == b""


def test_a_tally_has_how_many_took_how_long(redis: Redis) -> None:
    tally = Tally()
    for seconds in (0.004, 0.005, 0.3, 100):
        tally.observe("run", seconds=seconds)
    jobs = JobQueue(redis, EVENTS, tally=tally)
    jobs.enqueue(new("evt_1"))
    claim_one(jobs)
    jobs.complete("token", ["evt_1"])
    buckets, total = counted(redis).histogram("run")
    assert dict(buckets)["0.005"] == 2
    assert dict(buckets)["0.5"] == dict(buckets)["20"] == 3
    assert dict(buckets)["inf"] == 4
    assert total == pytest.approx(100.309)


def test_a_histogram_of_nothing_has_all_its_buckets(redis: Redis) -> None:
    buckets, total = counted(redis).histogram("run")
    assert [count for _, count in buckets] == [0] * (len(TIME_BOUNDS) + 1)
    assert total == 0


# --- whatever stands in Redis -------------------------------------------------------------------


def test_a_key_of_another_type_keeps_no_job_from_moving(
    jobs: JobQueue, redis: Redis, valkey: Valkey
) -> None:
    redis.set(KEY, "another tool's")
    deliver(valkey, *[new(f"evt_{n}") for n in range(5)])
    first, second, third, fourth, fifth = jobs.claim("token", 60, 5)
    jobs.tally.add("sent", "callback", "delivered")
    assert jobs.complete("token", [first.id], [Kind("verified", 1)]) == 1
    assert jobs.retry_later(second, 60, "Busy", "try again")
    assert jobs.bury(third, "permanent_error", "Broken", "it broke")
    assert jobs.leave(fourth, 60)
    end_lease(redis, fifth.id)
    assert jobs.rescue().expired == 1
    places = ["finished", "scheduled", "failed", "scheduled", "queued"]
    assert [place(redis, f"evt_{n}") for n in range(5)] == places


# --- kinds ---------------------------------------------------------------------------------------


def call(*arguments: Any) -> Call:
    return Call(EVENTS.function, list(arguments))


def test_an_event_is_told_by_its_name_and_when_stripe_made_it() -> None:
    event = payload("verified", "verified")
    assert kind_of(call(event)) == ("verified", event[2])


def test_a_failed_attempt_has_its_code_behind_the_name() -> None:
    event = payload("requires_input", error="document_expired")
    assert kind_of(call(event)).name == "requires_input/document_expired"


def test_an_event_that_only_shows_an_old_error_is_no_attempt() -> None:
    assert kind_of(call(payload("canceled", "canceled", error="document_expired"))).name == (
        "canceled"
    )


def test_a_thin_event_has_no_time_as_its_session_comes_later() -> None:
    assert kind_of(call(payload("verified", "verified")[:6])) == ("verified", 0)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        (None,),
        ({"n": 1},),
        ([],),
        (["evt_1", None],),
        (["evt_1", "a name: of spaces"],),
        ([1] * 17,),
        (["evt_1", "verified", "1700000000", *[""] * 14],),
        ([{}, {}, {}, *[{}] * 14],),
        ([[], []],),
        (payload(), payload()),
    ],
    ids=str,
)
def test_what_is_of_no_form_of_ours_is_other(arguments: tuple[Any, ...]) -> None:
    assert kind_of(call(*arguments)) == UNKNOWN


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"{}",
        b"x\x9c broken",
        b"[" * 100_000,
        encode(EVENTS.function, payload()).replace(f",{FORMAT}]".encode(), b",99]"),
    ],
    ids=["empty", "no text", "an object", "compressed", "nested", "a later release's"],
)
def test_data_that_cannot_be_read_is_other(data: bytes) -> None:
    assert kind_of_data(data) == UNKNOWN
