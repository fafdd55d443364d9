"""What a worker does reaches the metrics by the calls that it makes anyway."""

from __future__ import annotations

import time
from typing import cast

import pytest
from redis import Redis
from starlette.datastructures import Secret

from app.configuration.settings import Settings
from app.domain.errors import Permanent, Transient
from app.local.valkey import Valkey, free_port
from app.operations.rescue import rescue
from app.queue.counts import COMPLETED, DEFERRED, Counts, read_counts
from app.queue.model import EFFECTS, EVENTS
from app.queue.transitions import MAX_EXPIRIES, JobQueue
from tests.notifications.receiver import SECRET, answering, receiving
from tests.support.ledger import observation
from tests.support.places import claim_one, end_lease
from tests.support.workers import apply_one, event_job, worker_of
from tests.workers.runs import enqueue, fails
from workers.context import Context


def counted(redis: Redis, name: str = "events") -> Counts:
    return read_counts(redis, (EVENTS, EFFECTS))[name]


def calls(redis: Redis) -> int:
    """Commands that the server was sent; what a script calls is not one of them."""
    stats = cast(dict[str, dict[str, int]], redis.info("commandstats"))
    return sum(
        of["calls"] for name, of in stats.items() if name in ("cmdstat_evalsha", "cmdstat_eval")
    )


def test_a_batch_is_counted_by_type_with_its_age_and_its_time(
    jobs: JobQueue, redis: Redis, context: Context
) -> None:
    created = int(time.time()) - 45
    jobs.enqueue_all(
        [
            event_job("evt_1", "verified", "verified", at=created),
            event_job("evt_2", "requires_input", "requires_input", error="selfie_face_mismatch"),
        ]
    )
    worker_of(redis, context).run_once()
    found = counted(redis)
    assert found.jobs() == {
        ("verified", COMPLETED): 1,
        ("requires_input/selfie_face_mismatch", COMPLETED): 1,
    }
    assert found.of("lag", "le")["60"] == 1
    assert found.histogram("run").buckets[-1] == ("inf", 1)


def test_counting_costs_no_call(jobs: JobQueue, redis: Redis, context: Context) -> None:
    jobs.enqueue(event_job("evt_1"))
    worker = worker_of(redis, context)
    before = calls(redis)
    worker.run_once()
    assert calls(redis) - before == 2, "a claim and a completion"
    assert counted(redis).jobs() == {("created", COMPLETED): 1}


@pytest.mark.parametrize(
    ("error", "outcome"), [(Transient("away"), DEFERRED), (Permanent("no"), "buried")]
)
def test_a_run_that_failed_is_counted_with_its_time(
    jobs: JobQueue, redis: Redis, error: Exception, outcome: str
) -> None:
    enqueue(jobs, "evt_1")
    worker_of(redis, fails("evt_1", error=error)).run_once()
    assert counted(redis).jobs() == {("other", outcome): 1}
    assert counted(redis).histogram("run").buckets[-1] == ("inf", 1)


def test_what_was_done_before_its_workers_died_is_counted_by_its_type(
    jobs: JobQueue, redis: Redis, context: Context
) -> None:
    job = event_job("evt_1", "verified", "verified")
    jobs.enqueue(job)
    apply_one(context, observation("verified", 100, event="evt_1"))
    for _ in range(MAX_EXPIRIES):
        claim_one(jobs)
        end_lease(redis, "evt_1")
        rescue(jobs, context.stores.ledger)
    assert counted(redis).jobs() == {("verified", COMPLETED): 1}


# --- notifications -----------------------------------------------------------------------------


def notified(valkey: Valkey, database_url: str, url: str) -> Counts:
    """What was counted of one change that a receiver at `url` was notified of."""
    settings = Settings(
        redis_url=Secret(valkey.url),
        database_url=Secret(database_url),
        notify_url=url,
        notify_secrets=(Secret(SECRET),),
        notify_allow_private=True,
    )
    context = Context.of(settings)
    apply_one(context, observation("verified", 100))
    effects = context.stores.effects
    worker_of(effects.connection, context, queue=effects).run_once()
    found = counted(effects.connection, "effects")
    context.stores.close()
    return found


@pytest.mark.parametrize(
    ("status", "outcome", "ended"),
    [
        (200, "delivered", COMPLETED),
        (500, "failed", DEFERRED),
        (410, "gone", "buried"),
    ],
)
def test_a_notification_is_counted_by_the_receivers_answer(
    redis: Redis, valkey: Valkey, database_url: str, status: int, outcome: str, ended: str
) -> None:
    with receiving(answering(status)) as receiver:
        found = notified(valkey, database_url, receiver.url)
    assert found.of("sent", "callback") == {outcome: 1}
    assert found.histogram("send", "callback").buckets[-1] == ("inf", 1)
    assert found.jobs() == {("notify", ended): 1}


def test_a_receiver_that_cannot_be_reached_is_counted(
    redis: Redis, valkey: Valkey, database_url: str
) -> None:
    found = notified(valkey, database_url, f"http://127.0.0.1:{free_port()}/")
    assert found.of("sent", "callback") == {"failed": 1}
