"""What a later release wrote is left for its workers: not buried, not counted, not run."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from redis import Redis

from app.queue.model import EFFECTS, EVENTS, NewJob, effect_job
from app.queue.purging import purge_sessions
from app.queue.transitions import JobQueue
from tests.support.places import claim_one, counts, field, make_due, now, place
from tests.support.workers import NOW, event_job, worker_of
from tests.workers.asked import asked
from workers.context import Context
from workers.failing import LEFT_FOR
from workers.jobs import process_event


def of_the_next_release(redis: Redis, job: NewJob, function: str = EVENTS.function) -> bytes:
    """Have the queued job as a later release might write it; what it holds then."""
    call: list[Any] = [function, None, [{"all": "new", "of": job.payload}, 2], {}]
    data = json.dumps(call).encode()
    assert redis.exists(f"rq:job:{job.id}")
    redis.hset(f"rq:job:{job.id}", "data", data)
    return data


@pytest.mark.parametrize("function", [EVENTS.function, "workers.jobs.of_the_next_release"])
def test_an_event_of_a_later_format_waits_as_it_is_for_a_worker_that_knows_it(
    context: Context, redis: Redis, function: str
) -> None:
    events = context.stores.events
    job = event_job("evt_1")
    events.enqueue(job)
    data = of_the_next_release(redis, job, function)
    worker = worker_of(redis, context)
    for _ in range(25):  # more often than anything is tried
        assert worker.run_once() >= 0
        assert place(redis, "evt_1") == "scheduled"
        make_due(redis, "evt_1")
        events.promote()
    assert field(redis, "evt_1", "attempts") is field(redis, "evt_1", "error") is None
    taken = claim_one(events)  # by a worker of that release
    assert (taken.id, taken.data, taken.attempts) == ("evt_1", data, 0)


def test_what_is_left_is_not_offered_again_at_once(context: Context, redis: Redis) -> None:
    job = event_job("evt_1")
    context.stores.events.enqueue(job)
    of_the_next_release(redis, job)
    before = now(redis)
    worker_of(redis, context).run_once()
    due = redis.zscore("rq:scheduled:identity-events", "evt_1")
    assert due is not None
    assert before + LEFT_FOR / 2 <= due <= now(redis) + 1.5 * LEFT_FOR


def test_the_others_of_its_batch_are_applied(context: Context, redis: Redis) -> None:
    jobs = [event_job(f"evt_{number}", session=f"vs_{number}") for number in range(3)]
    context.stores.events.enqueue_all(jobs)
    of_the_next_release(redis, jobs[1])
    worker_of(redis, context).run_once()
    assert [place(redis, job.id) for job in jobs] == ["finished", "scheduled", "finished"]


def test_an_effect_of_a_kind_that_is_not_known_is_left_and_stays_to_be_done(
    context: Context, redis: Redis
) -> None:
    effect = asked(context, "of_the_next_release", "vs_1")
    effects = JobQueue(redis, EFFECTS)
    effects.enqueue(effect_job(effect, NOW))
    worker_of(redis, context, queue=effects).run_once()
    assert counts(effects) == {"queued": 0, "started": 0, "scheduled": 1, "failed": 0}
    assert context.stores.ledger.effect_status(effect.id) == "pending"


def test_a_redaction_leaves_what_only_a_later_release_can_read(
    context: Context, redis: Redis
) -> None:
    job = replace(event_job("evt_1", session="vs_1"), delay=60)
    context.stores.events.enqueue(job)
    data = of_the_next_release(redis, job)
    assert purge_sessions(context.stores.events, ["vs_1"]) == 0
    assert redis.hget("rq:job:evt_1", "data") == data


def test_rqs_own_worker_may_call_what_a_job_names(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.jobs._default_context", lambda: context)
    arguments: list[Any] = [event_job("evt_1").payload, 1]
    process_event(*arguments)
    assert context.stores.ledger.has_events(["evt_1"]) == {"evt_1"}
