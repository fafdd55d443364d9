"""`GET /metrics`: what Redis and the ledger hold, counted at each request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from anyio import to_thread
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from redis import Redis
from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import Response

from app.domain.errors import IdentityError
from app.domain.modes import mode_name
from app.ledger.stats import LedgerStats, read_stats
from app.logs import get_logger
from app.queue.backlog import Backlog, read_backlog
from app.queue.model import EFFECTS, EVENTS
from app.stores import Stores

log = get_logger("metrics")

# Seconds for each store. Prometheus gives up on a scrape after 10.
READ_TIMEOUT = 5.0

T = TypeVar("T")
Backlogs = Mapping[str, Backlog]


class Metrics:
    """The endpoint. If a store is away, it says so, and serves the other one's numbers."""

    def __init__(self, stores: Stores, now: Callable[[], float]) -> None:
        """`now` gives Unix seconds."""
        self._now = now
        self._redis = _Reading("redis", partial(_backlogs, stores.redis))
        self._ledger = _Reading("ledger", lambda: read_stats(stores.engine, int(now())))

    async def read_metrics(self, request: Request) -> Response:
        """200 with the text, even if a store is away."""
        backlogs, stats = await asyncio.gather(self._redis.take(), self._ledger.take())
        registry = CollectorRegistry(auto_describe=False)
        registry.register(Numbers(backlogs, stats, int(self._now())))
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)


class _Reading(Generic[T]):
    """Reads one store in a thread, never twice at once: a store that hangs holds one thread."""

    def __init__(self, store: str, read: Callable[[], T]) -> None:
        self._store = store
        self._read = read
        self._under_way: asyncio.Task[T | None] | None = None

    async def take(self) -> T | None:
        """What was read; None if the store is away or too slow."""
        if self._under_way is None or self._under_way.done():
            self._under_way = asyncio.create_task(to_thread.run_sync(self._try))
        try:
            return await asyncio.wait_for(asyncio.shield(self._under_way), READ_TIMEOUT)
        except TimeoutError:
            log.warning("cannot be counted", store=self._store, why=f"not within {READ_TIMEOUT} s")
            return None

    def _try(self) -> T | None:
        try:
            return self._read()
        except IdentityError as failure:
            log.warning("cannot be counted", store=self._store, why=str(failure))
        except RedisError as failure:  # no right to a command: its text may quote what was sent
            log.error("cannot be counted", store=self._store, why=type(failure).__name__)
        return None


def _backlogs(redis: Redis) -> Backlogs:
    return {spec.name: read_backlog(redis, spec) for spec in (EVENTS, EFFECTS)}


@dataclass(frozen=True, slots=True, eq=False)  # a registry keeps its collectors by identity
class Numbers(Collector):
    """What was read, as Prometheus metrics. No label holds an id or a reference."""

    backlogs: Backlogs | None
    stats: LedgerStats | None
    now: int

    def collect(self) -> Iterator[Metric]:
        """Every metric; those of a store that is away are left out."""
        up = GaugeMetricFamily(
            "identity_up", "Whether the store answers (1) or not (0).", labels=["store"]
        )
        up.add_metric(["redis"], self.backlogs is not None)
        up.add_metric(["ledger"], self.stats is not None)
        yield up
        if self.backlogs is not None:
            yield from _of_queues(self.backlogs)
        if self.stats is not None:
            yield from _of_ledger(self.stats, self.now)


def _of_queues(backlogs: Backlogs) -> Iterator[Metric]:
    jobs = GaugeMetricFamily(
        "identity_jobs",
        "Jobs of the queue: queued, started, scheduled (to be tried later), failed (dead letters).",
        labels=["queue", "state"],
    )
    for queue, backlog in backlogs.items():
        for state, count in backlog.counts.items():
            jobs.add_metric([queue, state], count)
    yield jobs
    yield _by_queue(
        "identity_oldest_queued_seconds",
        "Age of the oldest queued job; 0: none.",
        {queue: backlog.oldest for queue, backlog in backlogs.items()},
    )
    yield _by_queue(
        "identity_overdue_seconds",
        "How long an expired lease or a due job has waited for the clock; 0: none.",
        {queue: backlog.overdue for queue, backlog in backlogs.items()},
    )
    yield _by_queue(
        "identity_workers",
        "Workers with a current heartbeat.",
        {queue: backlog.workers for queue, backlog in backlogs.items()},
    )


def _by_queue(name: str, documentation: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, documentation, labels=["queue"])
    for queue, value in values.items():
        family.add_metric([queue], value)
    return family


def _of_ledger(stats: LedgerStats, now: int) -> Iterator[Metric]:
    yield CounterMetricFamily(
        "identity_events_applied", "Events in the ledger, each counted once.", stats.events
    )
    yield CounterMetricFamily(
        "identity_events_missed_by_webhook",
        "Events that no delivery brought and a backfill found at Stripe.",
        stats.events_missed_by_webhook,
    )
    if stats.last_event is not None:
        yield GaugeMetricFamily(
            "identity_last_event_age_seconds",
            "Since Stripe created the newest event in the ledger.",
            max(0, now - stats.last_event),
        )
    yield GaugeMetricFamily(
        "identity_redactions_overdue",
        "Sessions whose redaction Stripe has not finished in its four days.",
        stats.redactions_overdue,
    )
    standings = GaugeMetricFamily(
        "identity_standings", "References by status.", labels=["status", "mode"]
    )
    for (status, livemode), count in sorted(stats.standings.items()):
        standings.add_metric([status, mode_name(livemode)], count)
    yield standings
    orphans = GaugeMetricFamily(
        "identity_orphans", "Sessions that name no reference.", labels=["mode"]
    )
    for livemode, count in stats.orphans.items():
        orphans.add_metric([mode_name(livemode)], count)
    yield orphans
    effects = GaugeMetricFamily(
        "identity_effects", "Effects that are still to be run, or failed.", labels=["status"]
    )
    for status, count in stats.effects.items():
        effects.add_metric([status], count)
    yield effects
