"""The endpoint: reads all subjects at once, and serves what could be read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from anyio import to_thread
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import Response

from app.domain.errors import IdentityError, Transient
from app.logs import get_logger
from app.stores import Stores
from app.version import version
from app.web.metrics import deferred, deliveries, freshness, ledger, queues, work
from app.web.metrics.subject import Subject, gauge

log = get_logger("metrics")

# Seconds for each store. Prometheus gives up on a scrape after 10.
READ_TIMEOUT = 5.0
BUILD = {version(): 1.0}


def subjects(stores: Stores, now: Callable[[], float]) -> list[Subject[Any]]:
    """All that `/metrics` tells, in its order; `now` gives Unix seconds."""
    return [
        queues.subject(stores),
        deferred.subject(stores),
        deliveries.subject(stores),
        work.subject(stores),
        ledger.answering(stores),
        freshness.schema_subject(stores),
        ledger.subject(stores, now),
        freshness.subject(stores, now),
    ]


class Metrics:
    """The endpoint. If a store is away, it says so, and serves the other one's numbers."""

    def __init__(self, stores: Stores, now: Callable[[], float]) -> None:
        """`now` gives Unix seconds."""
        by_store: dict[str, list[Subject[Any]]] = {}
        for subject in subjects(stores, now):
            by_store.setdefault(subject.store, []).append(subject)
        self._stores = [_Store(name, of_it) for name, of_it in by_store.items()]

    async def read_metrics(self, request: Request) -> Response:
        """200 with the text, even if a store is away."""
        taken = await asyncio.gather(*(store.take() for store in self._stores))
        up = {
            store.name: float(any(subject.shows_up for subject in found))
            for store, found in zip(self._stores, taken, strict=True)
        }
        families = [
            gauge("identity_up", "Whether the store answers (1) or not (0).", ("store",), up),
            gauge("identity_build_info", "The release that answers.", ("version",), BUILD),
            *(family for found in taken for of_it in found.values() for family in of_it),
        ]
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collected(families))
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)


class _Collected(Collector):
    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        return iter(self._families)


Found = dict[Subject[Any], list[Metric]]


class _Store:
    """Reads one store's subjects in a thread, one after the other, and never twice at once.

    So a store that hangs holds one thread and one connection.
    """

    def __init__(self, name: str, subjects: Sequence[Subject[Any]]) -> None:
        self.name = name
        self._subjects = subjects
        self._found: Found = {}
        self._under_way: asyncio.Task[None] | None = None

    async def take(self) -> Found:
        """What was read in time."""
        if self._under_way is None or self._under_way.done():
            self._found = {}
            reading = to_thread.run_sync(self._read_all, self._found)
            self._under_way = asyncio.create_task(reading)
        try:
            await asyncio.wait_for(asyncio.shield(self._under_way), READ_TIMEOUT)
        except TimeoutError:
            why = f"not within {READ_TIMEOUT} s"
            log.warning("cannot be counted", store=self.name, error=why)
        return dict(self._found)

    def _read_all(self, found: Found) -> None:
        for subject in self._subjects:
            try:
                found[subject] = list(subject.families(subject.read()))
            except Transient as failure:  # the others would meet the same
                log.warning("cannot be counted", store=self.name, error=str(failure))
                return
            except IdentityError as failure:
                log.warning("cannot be counted", store=self.name, error=str(failure))
            except RedisError as failure:  # no right to a command: its text may quote what was sent
                error_class = type(failure).__name__
                log.error("cannot be counted", store=self.name, error_class=error_class)
