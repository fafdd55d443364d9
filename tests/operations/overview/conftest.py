"""A deployment whose state can be looked at, with workers that show signs of life."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from app.ledger.engine import open_engine
from app.ledger.ledger import Ledger
from app.local.valkey import free_port
from app.operations.overview.overview import Overview
from app.queue.connection import open_redis
from app.queue.transitions import JobQueue
from app.stores import Stores
from tests.support.deployment import Deployment
from tests.support.workers import worker_of

Make = Callable[..., Overview]


@pytest.fixture
def make(deployment: Deployment) -> Make:
    """Makes overviews of it, over these stores and settings instead of its own."""

    def overview(now: float = 0, stores: Stores | None = None, **settings: Any) -> Overview:
        stores = stores or deployment.stores
        stores = replace(stores, settings=replace(stores.settings, **settings))
        moment = now or redis_time(deployment)
        return Overview(stores, lambda: moment, iter(range(0, 10**6, 60)).__next__)

    return overview


@pytest.fixture
def workers(deployment: Deployment) -> None:
    """One of each queue is there."""
    for queue in (deployment.events, deployment.stores.effects):
        worker_of(deployment.redis, deployment.context, queue=queue)


def redis_time(deployment: Deployment) -> float:
    """Now, by Redis' clock."""
    seconds, microseconds = deployment.redis.time()
    return seconds + microseconds / 1e6


def without_ledger(deployment: Deployment) -> Stores:
    """Its stores, whose database is not there."""
    engine = open_engine("sqlite:////nowhere/ledger.db")
    return replace(deployment.stores, engine=engine, ledger=Ledger(engine))


def without_redis(deployment: Deployment) -> Stores:
    """Its stores, whose Redis refuses the connection."""
    redis = open_redis(f"redis://127.0.0.1:{free_port()}/0")
    events = JobQueue(redis, deployment.events.spec)
    effects = JobQueue(redis, deployment.stores.effects.spec)
    return replace(deployment.stores, redis=redis, events=events, effects=effects)
