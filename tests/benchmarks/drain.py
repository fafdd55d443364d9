"""Drain: how fast workers bring a full queue into the database, and what each event costs."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks.bench import Bench, cpu_now, drained
from tests.benchmarks.contestants import Contestant, rotated
from tests.benchmarks.databases import Databases, temporary
from tests.benchmarks.processes import START_WITHIN, Failed
from tests.benchmarks.stripe_events import LIFE, lives

# An event takes a tenth of it where a machine is very slow.
SECONDS_PER_EVENT = 0.1


class Drain:
    """Each contestant's workers, on a queue that its own web process has filled."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        known = bench.contestants
        self._all = [known.rq, known.celery, known.product]
        self._seeds: dict[str, tuple[Path, int]] = {}

    def prepare(self) -> None:
        """Each contestant's queue, filled through its own web process, and kept as a snapshot."""
        plan = self._bench.plan
        for contestant in self._all:
            self._bench.tell(f"drain: filling the queue of {contestant.name}")
            rq = contestant is self._bench.contestants.rq
            sessions = plan.drain_sessions_of_rq if rq else plan.drain_sessions
            events = sessions * len(LIFE)
            seed = self._bench.preload(contestant, lives("d", sessions), events)
            self._seeds[contestant.name] = (seed, events)

    def round(self, number: int) -> None:
        """Each contestant on each database it knows."""
        bench = self._bench
        for kind in (bench.postgres, bench.sqlite):
            for workers in bench.plan.workers:
                for contestant in rotated(self._all, number):
                    if contestant is bench.contestants.rq and kind is bench.sqlite:
                        continue
                    self._measure(number, contestant, kind, workers)

    def _measure(self, number: int, contestant: Contestant, kind: Databases, workers: int) -> None:
        bench = self._bench
        seed, events = self._seeds[contestant.name]
        with (
            bench.leg(f"drain: {contestant.name}, {kind.name}, {workers} workers"),
            bench.valkey(seed=seed) as store,
            temporary(kind, bench.template(contestant, kind)) as database,
            bench.workers(contestant, store, database, workers) as processes,
        ):
            metrics = drained(
                lambda: contestant.pending(store.client),
                events,
                lambda: cpu_now(processes, store, database),
                START_WITHIN + events * SECONDS_PER_EVENT,
                processes,
            )
            done = contestant.done(store.client, database)
            if done != events:
                raise Failed(f"{contestant.name} applied {done} of {events}")
            bench.results.add(
                number,
                "drain",
                f"{kind.name}, {workers} worker{'s' * (workers > 1)}",
                contestant.name,
                "celery",
                **metrics,
            )
