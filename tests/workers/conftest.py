"""What a worker's process works on: an empty ledger, an empty Redis, a time that stands still."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis
from starlette.datastructures import Secret

from app.configuration.settings import Settings
from app.local.valkey import Valkey
from app.queue.model import EVENTS
from app.queue.transitions import JobQueue
from app.stripe.client import StripeApi
from tests.sandbox.processes import Sandbox
from tests.support.workers import offline, with_stores
from tests.workers.asked import KEY
from workers.context import Context


@pytest.fixture
def context(database_url: str, redis: Redis, valkey: Valkey) -> Iterator[Context]:
    """A context without Stripe."""
    settings = Settings(
        stripe_api_key=Secret("sk_test_123"),
        redis_url=Secret(valkey.url),
        database_url=Secret(database_url),
    )
    context = offline(Context.of(settings))
    yield context
    context.stores.close()


@pytest.fixture
def jobs(redis: Redis) -> JobQueue:
    """The queue of events."""
    return JobQueue(redis, EVENTS)


@pytest.fixture
def asking(context: Context, sandbox: Sandbox) -> Context:
    """The context with Stripe in it."""
    return with_stores(context, stripe=StripeApi(KEY, sandbox.url))
