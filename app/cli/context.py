"""What commands work on: the stores of the environment's settings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from redis import Redis
from sqlalchemy import Engine
from sqlalchemy.exc import ArgumentError

from app.domain.errors import Misconfigured
from app.ledger.engine import open_engine
from app.ledger.ledger import Ledger
from app.queue.connection import open_redis
from app.queue.dead_letters import DeadLetters
from app.queue.jobs import JobQueue
from app.queue.model import EFFECTS, EVENTS, QueueName
from app.settings import Settings
from app.stripe_api import StripeApi, open_stripe

QUEUES: dict[str, QueueName] = {"events": EVENTS, "effects": EFFECTS}


@dataclass(frozen=True, slots=True)
class Stores:
    """Redis and the ledger, connected at their first use."""

    settings: Settings
    redis: Redis
    engine: Engine
    ledger: Ledger

    def queue(self, name: str) -> JobQueue:
        """The queue that a command's `--queue` names."""
        return JobQueue(self.redis, QUEUES[name])

    def stripe(self) -> StripeApi:
        """Stripe's API. Raises Misconfigured where there is no key."""
        api = open_stripe(self.settings)
        if api is None:
            raise Misconfigured(["STRIPE_API_KEY is not set"])
        return api

    def letters(self, name: str) -> DeadLetters:
        """The dead letters of the queue that `--queue` names."""
        return DeadLetters(self.redis, QUEUES[name])


@contextmanager
def stores() -> Iterator[Stores]:
    """The stores, closed at the end. Raises Misconfigured where a setting is wrong."""
    settings = Settings.from_environment(os.environ)
    # Neither client's own message is shown: both may quote a part of the address.
    try:
        redis = open_redis(str(settings.redis_url), verify=settings.redis_verify)
    except ValueError:
        raise Misconfigured(
            ["REDIS_URL cannot be read: redis://user:password@host:6379/0"]
        ) from None
    try:
        engine = open_engine(str(settings.database_url))
    except (ValueError, ArgumentError):
        raise Misconfigured(
            ["DATABASE_URL cannot be read: postgres://user:password@host:5432/name"]
        ) from None
    try:
        yield Stores(settings, redis, engine, Ledger(engine))
    finally:
        engine.dispose()
        redis.close()
