"""Idle: what a stack that has worked takes of a core once nothing comes any more."""

from __future__ import annotations

import time

from tests.benchmarks.bench import MICROSECONDS, Bench, cpu_now
from tests.benchmarks.client import deliver_all
from tests.benchmarks.contestants import Contestant, rotated
from tests.benchmarks.databases import temporary
from tests.benchmarks.processes import START_WITHIN, wait_until
from tests.benchmarks.stripe_events import openings

WORKERS = 2
WARM_UP = 50
# Seconds until what a start brings with it is done.
SETTLED_AFTER = 5.0
PERCENT = 100


class Idle:
    """Web, workers, Valkey and PostgreSQL together, beside Celery's."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def prepare(self) -> None:
        """Nothing."""

    def round(self, number: int) -> None:
        """Each contestant."""
        known = self._bench.contestants
        for contestant in rotated([known.celery, known.product], number):
            with self._bench.leg(f"idle: {contestant.name}"):
                self._measure(number, contestant)

    def _measure(self, number: int, contestant: Contestant) -> None:
        bench, seconds = self._bench, self._bench.plan.idle_seconds
        template = bench.template(contestant, bench.postgres)
        with (
            bench.valkey() as store,
            temporary(bench.postgres, template) as database,
            bench.workers(contestant, store, database, WORKERS) as workers,
            bench.web(contestant, store) as (web, port),
        ):
            deliver_all(port, openings("w", WARM_UP))
            wait_until(lambda: database.events() == WARM_UP, START_WITHIN, "events", workers)
            time.sleep(SETTLED_AFTER)
            before = cpu_now([web, *workers], store, database)
            time.sleep(seconds)
            used = cpu_now([web, *workers], store, database).per_event(before, 1)
        bench.results.add(
            number,
            "idle",
            f"1 web process, {WORKERS} workers, PostgreSQL",
            contestant.name,
            "celery",
            percent=sum(used.values()) / MICROSECONDS / seconds * PERCENT,
        )
