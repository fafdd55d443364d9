"""A deployment of real parts for the doctor to examine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from app.local.valkey import Valkey
from tests.doctor.deployment import Deployment
from tests.sandbox.processes import Sandbox, running


@pytest.fixture(scope="session")
def process() -> Iterator[Sandbox]:
    """A local Stripe. Each test leaves it as it was."""
    with running("--seed", "7") as sandbox:
        yield sandbox


@pytest.fixture
def deployment(
    process: Sandbox, valkey: Valkey, redis: Redis, database_url: str
) -> Iterator[Deployment]:
    """Settings that name an empty Redis, an empty SQLite ledger and Stripe."""
    environment = {
        "STRIPE_WEBHOOK_SECRET": "whsec_PLANTED",
        "STRIPE_API_KEY": "sk_test_PLANTED",
        "STRIPE_API_BASE": process.url,
        "REDIS_URL": valkey.url,
        "DURABILITY": "memory",  # the tests' server never syncs
        "DATABASE_URL": database_url,
        "API_TOKENS": "PLANTED-token-of-the-backend",
    }
    found = Deployment(redis, process, environment)
    yield found
    process.control("DELETE", "/faults")
    for id in found.endpoints:
        process.client().v1.webhook_endpoints.delete(id)
    for id in found.destinations:
        process.control("DELETE", f"/event_destinations/{id}")
