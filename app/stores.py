"""Opens all that the settings name: Redis, the ledger, Stripe. The one place that does.

Addresses were judged when the settings were read. Everything connects at its first use, so nothing
has to be up yet, and a process opens its stores after its fork.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from redis import Redis
from redis import asyncio as redis_asyncio
from sqlalchemy import Engine

from app.configuration.settings import Settings
from app.domain.errors import Misconfigured
from app.ledger.audit import Audit
from app.ledger.engine import open_engine
from app.ledger.ledger import Ledger
from app.ledger.operations import Operations
from app.queue.confirming import Durability
from app.queue.connection import open_async_redis, open_redis
from app.queue.dead_letters import DeadLetters
from app.queue.deferred import DeferredJobs
from app.queue.enqueuing import AsyncJobQueue
from app.queue.model import EFFECTS, EVENTS
from app.queue.traced import TracedJobQueue
from app.queue.transitions import JobQueue
from app.stripe.client import StripeApi, open_stripe

if TYPE_CHECKING:
    from app.telemetry.spans import Spans


@dataclass(frozen=True, slots=True)
class Stores:
    """What a process reads and writes."""

    settings: Settings
    redis: Redis
    engine: Engine
    ledger: Ledger
    audit: Audit
    events: JobQueue
    effects: JobQueue
    stripe: StripeApi | None  # None without STRIPE_API_KEY

    def queue(self, name: str) -> JobQueue:
        """The queue of this name: `events` or `effects`."""
        return {EVENTS.name: self.events, EFFECTS.name: self.effects}[name]

    def dead_letters(self, name: str) -> DeadLetters:
        """The dead letters of the queue of this name."""
        return DeadLetters(self.redis, self.queue(name).spec)

    def deferred(self, name: str) -> DeferredJobs:
        """What waits in the queue of this name to be tried again."""
        return DeferredJobs(self.redis, self.queue(name).spec)

    @property
    def operations(self) -> Operations:
        """The bulk replays and discards that people have asked for."""
        return Operations(self.engine)

    def require_stripe(self) -> StripeApi:
        """Stripe's API. Raises Misconfigured if there is no key."""
        if self.stripe is None:
            raise Misconfigured(["STRIPE_API_KEY is not set"])
        return self.stripe

    def stripe_for(self, livemode: bool) -> StripeApi | None:
        """Stripe's API for sessions of one mode; None without a key of that mode."""
        return self.stripe if livemode == self.settings.livemode else None

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()
        self.redis.close()


class Share(NamedTuple):
    """How much of each store a guest may take, so that what else uses them does not notice."""

    connections: int
    seconds: float  # of one statement or call, and of each wait


def open_stores(
    settings: Settings,
    *,
    patience: float | None = None,
    spans: Spans | None = None,
    share: Share | None = None,
) -> Stores:
    """The stores of the settings; `patience` is how many seconds the ledger waits for a lock.

    `share` is for a guest among the other users of the stores. `spans` record what becomes of jobs;
    None where traces are off.
    Raises Misconfigured if an address cannot be used.
    """
    bounds: dict[str, Any] = {} if share is None else share._asdict()
    redis = open_redis(str(settings.redis_url), verify=settings.redis_verify, **bounds)
    engine = open_engine(str(settings.database_url), patience=patience, **bounds)
    queue: Callable[..., JobQueue] = JobQueue
    if spans is not None:
        queue = partial(TracedJobQueue, spans=spans)
    return Stores(
        settings=settings,
        redis=redis,
        engine=engine,
        ledger=Ledger(engine, settings.reverify_after),
        audit=Audit(engine, settings.livemode),
        events=queue(redis, replace(EVENTS, batch=settings.batch)),
        effects=queue(redis, EFFECTS),
        stripe=open_stripe(settings),
    )


def open_async_events(settings: Settings) -> tuple[redis_asyncio.Redis, AsyncJobQueue]:
    """The queue of events for the running event loop, and its client, which the caller closes."""
    redis = open_async_redis(str(settings.redis_url), verify=settings.redis_verify)
    return redis, AsyncJobQueue(redis, EVENTS)


def open_durability(settings: Settings, calls: redis_asyncio.Redis) -> Durability:
    """What a 200 promises; `calls` is the client of `open_async_events`. The caller closes it."""
    waits = open_async_redis(str(settings.redis_url), verify=settings.redis_verify)
    return Durability(settings.durability, calls, waits)


@contextmanager
def opened_stores(settings: Settings) -> Iterator[Stores]:
    """The stores, closed at the end of the block."""
    stores = open_stores(settings)
    try:
        yield stores
    finally:
        stores.close()
