"""Growth: what an event costs behind a long queue and in a large ledger, and what Redis holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.bench import Bench, Cpu, cpu_now
from tests.benchmarks.client import deliver_all
from tests.benchmarks.databases import Database, PostgresDatabase, temporary
from tests.benchmarks.processes import START_WITHIN, Failed, Process, wait_until
from tests.benchmarks.product import Product
from tests.benchmarks.stripe_events import LIFE, deliveries, lives, openings
from tests.benchmarks.valkey import Valkey

WORKERS_TO_PREPARE = 2
# Seconds that preparing or measuring may take for each event.
SECONDS_PER_EVENT = 0.1
WARM_UP = 50
MEGABYTE = 1e6  # bytes
# Users of the ledger that more events are about, or all of the smallest: of each size as many, else
# what a run costs once is shared by more.
FORMER_USERS = 1_000


@dataclass(frozen=True)
class Prepared:
    """What one size has: a queue so long, a ledger so large, and events to apply to it."""

    queue: Path
    ledger: PostgresDatabase
    events: dict[str, Path]  # queues of them, by whose they are


class Growth:
    """The product alone, compared with itself at the smallest size."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        assert isinstance(bench.contestants.product, Product)
        self._product = bench.contestants.product
        self._prepared: dict[int, Prepared] = {}

    def prepare(self) -> None:
        """For each size, a queue of so many sessions opened, and a ledger that has them all."""
        bench, product = self._bench, self._product
        users = bench.plan.growth_events // len(LIFE)
        new = bench.preload(product, lives("n", users), users * len(LIFE))
        with bench.valkey() as store, bench.web(product, store) as (web, port):
            # Both sizes have the same process: it has grown by what is between them.
            for size in bench.plan.growth_sizes:
                store.client.flushall()
                self._prepared[size] = self._prepare(size, store, web, port, new)

    def _prepare(self, size: int, store: Valkey, web: Process, port: int, new: Path) -> Prepared:
        bench, product = self._bench, self._product
        bench.tell(f"growth: {size:,} queued")
        count = min(FORMER_USERS, bench.plan.growth_sizes[0])
        users = [f"g{number * size // count}" for number in range(count)]
        deliver_all(port, deliveries(users, (1, 2)))
        former = store.snapshot(bench.new_folder())
        store.client.flushall()
        deliver_all(port, openings("g", size))
        self._add(0, "processes", "web", f"{size:,} events", megabytes=web.memory() / MEGABYTE)
        queue = store.snapshot(bench.new_folder())
        self._memory("a queued event", size, store)
        bench.tell(f"growth: {size:,} references")
        ledger = bench.postgres.create(bench.template(product, bench.postgres))
        with bench.workers(product, store, ledger, WORKERS_TO_PREPARE) as workers:
            self._await_pending(store, workers, 0, size)
            held = sum(worker.memory() for worker in workers) / MEGABYTE
            self._add(
                0,
                "processes",
                f"{WORKERS_TO_PREPARE} event workers and what runs beside them",
                f"{size:,} events",
                megabytes=held,
            )
        self._memory("a finished event", size, store)
        if ledger.events() != size:
            raise Failed(f"{ledger.events()} of {size} events were applied")
        ledger.execute("VACUUM ANALYZE")  # else the server begins it while we measure
        return Prepared(queue, ledger, {"new users": new, "users from all over it": former})

    def _memory(self, case: str, size: int, store: Valkey) -> None:
        used = store.bytes_used() / size
        self._add(0, "memory", case, f"{size:,} events", bytes=used)

    def round(self, number: int) -> None:
        """Each size; the first one is last in every other round."""
        sizes = list(self._bench.plan.growth_sizes)
        for size in sizes if number % 2 == 0 else reversed(sizes):
            with self._bench.leg(f"growth: {size:,} queued"):
                self._measure_queue(number, size)
            with self._bench.leg(f"growth: {size:,} references"):
                self._measure_ledger(number, size)

    def _measure_queue(self, number: int, size: int) -> None:
        bench, product, events = self._bench, self._product, self._bench.plan.growth_events
        template = bench.template(product, bench.postgres)
        with bench.valkey(seed=self._prepared[size].queue) as store:
            with bench.web(product, store) as (web, port):
                deliver_all(port, openings("h", WARM_UP))
                before = cpu_now([web], store)
                deliver_all(port, openings("i", events))
                cpu = cpu_now([web], store).per_event(before, events)
                del cpu["cpu_database_us"]
            self._add(number, "growth", "deliver behind a queue", f"{size:,} queued", **cpu)
            with temporary(bench.postgres, template) as database:
                cpu = self._work(store, database, events)
            self._add(number, "growth", "apply from a queue", f"{size:,} queued", **cpu)

    def _measure_ledger(self, number: int, size: int) -> None:
        bench, product, prepared = self._bench, self._product, self._prepared[size]
        for whose, events in prepared.events.items():
            with (
                bench.valkey(seed=events) as store,
                temporary(bench.postgres, prepared.ledger) as database,
            ):
                # The count would be of what made the ledger, not of the events measured.
                product.put_off_count(store.client)
                waiting = product.pending(store.client)
                cpu = self._work(store, database, waiting - WARM_UP)
            case = f"apply to a ledger, {whose}"
            self._add(number, "growth", case, f"{size:,} references", **cpu)

    def _work(self, store: Valkey, database: Database, events: int) -> dict[str, float]:
        """CPU for each of so many events, once a worker is warm."""
        with self._bench.workers(self._product, store, database, 1) as workers:
            start = self._product.pending(store.client)
            first = self._await_pending(store, workers, start - min(WARM_UP, events // 2), events)
            before: Cpu = cpu_now(workers, store, database)
            last = self._await_pending(store, workers, max(0, first - events), events)
            return cpu_now(workers, store, database).per_event(before, first - last)

    def _await_pending(self, store: Valkey, workers: list[Process], most: int, events: int) -> int:
        """Wait until no more than `most` are pending; returns how many those are."""
        limit = START_WITHIN + events * SECONDS_PER_EVENT
        left = 0

        def reached() -> bool:
            nonlocal left
            left = self._product.pending(store.client)
            return left <= most

        wait_until(reached, limit, f"queue of {most}", workers)
        return left

    def _add(self, number: int, part: str, case: str, who: str, **metrics: float) -> None:
        smallest, unit = self._bench.plan.growth_sizes[0], who.rpartition(" ")[2]
        self._bench.results.add(number, part, case, who, f"{smallest:,} {unit}", **metrics)
