"""Two deployments on one PostgreSQL server and one Redis, each with its own database of both."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from app.configuration.settings import Settings
from app.local.valkey import Valkey
from app.queue.pausing import pause
from tests.support.postgres import Postgres
from tests.support.stores import migrate_database
from tests.support.workers import event_job, impatient, offline, worker_of
from workers.clock import Clock
from workers.context import Context

STREAM = "changes"


@pytest.fixture
def two(redis: Redis, valkey: Valkey, postgres: Postgres) -> Iterator[list[Context]]:
    """Both, differing in their addresses alone."""
    contexts = []
    for number in range(2):
        name = postgres.create_database()
        migrate_database(postgres.url(name))
        settings = Settings.from_environment(
            {
                "DATABASE_URL": postgres.url(name),
                "REDIS_URL": f"{valkey.url.removesuffix('/0')}/{number}",
                "NOTIFY_STREAM": STREAM,
            }
        )
        contexts.append(offline(Context.of(settings), now=time.time()))
    yield contexts
    for context in contexts:
        context.stores.close()


def work(context: Context) -> None:
    """Do what is there to do, as the clock and the workers of one deployment do."""
    stores = context.stores
    Clock(context).run_once()
    for queue in (stores.events, stores.effects):
        worker = impatient(worker_of(stores.redis, context, queue=queue))
        while worker.run_once():
            pass
    Clock(context).run_once()


def told(context: Context) -> list[Any]:
    """The users whose changes its receiver was told of."""
    found: Any = context.stores.redis.xrange(STREAM)
    return [b"".join(entry.values()) for _, entry in found]


def test_neither_sees_what_the_other_has(two: list[Context]) -> None:
    users = ("user-of-one", "user-of-two")
    for context, user in zip(two, users, strict=True):
        # The ids are the same, which two accounts of Stripe's would never have.
        job = event_job("evt_1", reference=user, session="vs_1")
        assert context.stores.events.enqueue(job) == "enqueued"
    pause(two[1].stores.redis, reason="upgrade", by="ops", now=int(time.time()))
    work(two[0])
    assert two[1].stores.events.statuses(["evt_1"]) == {"evt_1": "queued"}
    two[1].stores.redis.delete("rq:suspended")
    work(two[1])
    for context, own, other in zip(two, users, reversed(users), strict=True):
        ledger = context.stores.ledger
        assert ledger.read_reference(own, livemode=False) is not None
        assert ledger.read_reference(other, livemode=False) is None
        (message,) = told(context)
        assert own.encode() in message
