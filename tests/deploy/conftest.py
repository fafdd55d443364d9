"""A deployment's metrics, for the alerts, the dashboard and the autoscaler that ask for them."""

from __future__ import annotations

import pytest
from redis import Redis

from app.ledger.counts import count_standings
from app.ledger.engine import open_engine
from app.ledger.ledger import Ledger
from app.local.valkey import Valkey
from app.queue.model import EVENTS
from app.queue.transitions import JobQueue
from tests.deploy.prometheus import Described, described
from tests.support.ledger import POLICY, observation
from tests.support.places import claim_one, new
from tests.web.conftest import settings_of
from tests.web.metrics.scraping import client_of

# What some metrics are told with alone.
EVERYTHING = {
    "STRIPE_API_KEY": "sk_test_123",
    "NOTIFY_URL": "https://receiver.example/hook",
    "NOTIFY_SECRET": "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
}


@pytest.fixture
def metrics(redis: Redis, valkey: Valkey, database_url: str) -> Described:
    """Every metric of a deployment that has all settings and has seen everything."""
    redis.hset("identity:events_ignored", "identity.new", 1)
    redis.hset("identity:counts:events", "job:requires_input/document_expired:completed", 1)
    jobs = JobQueue(redis, EVENTS)
    jobs.enqueue(new("evt_1"))
    jobs.retry_later(claim_one(jobs), 60, "Busy", "try again")
    ledger = Ledger(open_engine(database_url))
    ledger.apply([observation("verified", 100)], policy=POLICY, now=100)
    for _ in range(2):
        count_standings(ledger._engine, 100)
    ledger.close()
    environment = settings_of(valkey.url, database_url)
    with client_of(environment, **EVERYTHING) as client:
        return described(client)
