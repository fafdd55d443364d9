"""Idle: what a stack that has worked takes of a core once nothing comes any more."""

from __future__ import annotations

import time

from tests.benchmarks.bench import MICROSECONDS, Bench
from tests.benchmarks.contestants import Contestant, rotated
from tests.benchmarks.warm import WORKERS, warm_stack

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
        with warm_stack(bench, contestant) as stack:
            time.sleep(SETTLED_AFTER)
            before = stack.cpu()
            time.sleep(seconds)
            used = stack.cpu().per_event(before, 1)
        bench.results.add(
            number,
            "idle",
            f"1 web process, {WORKERS} workers, PostgreSQL",
            contestant.name,
            "celery",
            percent=sum(used.values()) / MICROSECONDS / seconds * PERCENT,
        )
