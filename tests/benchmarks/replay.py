"""Replay: how fast dead letters are put back and applied, beside a queue of the same events."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.bench import Bench, Cpu, cpu_now, drained
from tests.benchmarks.contestants import Site
from tests.benchmarks.databases import PostgresDatabase, temporary
from tests.benchmarks.processes import START_WITHIN, Failed, Process, running, wait_until
from tests.benchmarks.product import Product
from tests.benchmarks.stripe_events import openings
from tests.benchmarks.valkey import Valkey

# A database that refuses every event: what time does not mend is buried at once.
REFUSE = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'refused'; END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION refuse();
"""
WORKERS_TO_PREPARE = 2
SECONDS_PER_LETTER = 0.1


@dataclass(frozen=True)
class Started:
    """Workers, and what they work on."""

    store: Valkey
    database: PostgresDatabase
    workers: list[Process]

    def cpu(self) -> Cpu:
        """What they, the servers and every command that has ended have used."""
        used = cpu_now(self.workers, self.store, self.database)
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        return Cpu(used.own + ended.ru_utime + ended.ru_stime, used.valkey, used.database)


class Replay:
    """The product alone: neither stock RQ nor Celery has a replay that waits for the outcome."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._count = bench.plan.dead_letters
        assert isinstance(bench.contestants.product, Product)
        self._product = bench.contestants.product

    def prepare(self) -> None:
        """Events that die, each a session opened: a snapshot of their queue, and of the letters."""
        bench, product, count = self._bench, self._product, self._count
        bench.tell(f"replay: {count:,} events die")
        self._queued = bench.preload(product, openings("r", count), count)
        with self._started(self._queued, WORKERS_TO_PREPARE, REFUSE) as started:
            client = started.store.client
            limit = START_WITHIN + count * SECONDS_PER_LETTER
            wait_until(lambda: not product.pending(client), limit, "dead", started.workers)
            found = product.dead_letters(client)
            product.forget_workers(client)
            self._dead = started.store.snapshot(bench.new_folder())
        if found != count:
            raise Failed(f"{found} dead letters of {count}")

    @contextmanager
    def _started(self, seed: Path, count: int, sql: str = "") -> Iterator[Started]:
        """So many workers on this store, and on an empty ledger in which the SQL has been run."""
        bench, product = self._bench, self._product
        with (
            bench.valkey(seed=seed) as store,
            temporary(bench.postgres, bench.template(product, bench.postgres)) as database,
        ):
            assert isinstance(database, PostgresDatabase)
            if sql:
                database.execute(sql)
            with bench.workers(product, store, database, count) as workers:
                yield Started(store, database, workers)

    def round(self, number: int) -> None:
        """With one worker and with two: the events from their queue, and from the dead letters."""
        for count in self._bench.plan.workers:
            case = f"{self._count:,} letters, PostgreSQL, {count} worker{'s' * (count > 1)}"
            with self._bench.leg(f"drain of {case}"), self._started(self._queued, count) as started:
                self._drain(number, case, started)
            with self._bench.leg(f"replay of {case}"), self._started(self._dead, count) as started:
                self._replay(number, case, count, started)

    def _drain(self, number: int, case: str, started: Started) -> None:
        limit = START_WITHIN + self._count * SECONDS_PER_LETTER
        metrics = drained(
            lambda: self._product.pending(started.store.client),
            self._count,
            started.cpu,
            limit,
            started.workers,
        )
        self._add(number, case, "queue", started, metrics)

    def _replay(self, number: int, case: str, count: int, started: Started) -> None:
        """One replay of all, its start included."""
        product, store, database = self._product, started.store, started.database

        def are_there() -> bool:
            return product.registered(store.client) == count

        wait_until(are_there, START_WITHIN, "worker", started.workers)
        before, began = started.cpu(), time.monotonic()
        command = product.replay(Site(store.url, database.url))
        log = self._bench.folder / "replay.log"
        log.unlink(missing_ok=True)
        with running(command, log) as replay:
            limit = START_WITHIN + self._count * SECONDS_PER_LETTER
            wait_until(lambda: not replay.alive(), limit, "end of the replay", started.workers)
        took = time.monotonic() - began
        used = started.cpu().per_event(before, self._count)
        self._add(number, case, "product", started, {"per_second": self._count / took, **used})
        told = log.read_text().splitlines()
        if json.loads(told[-1])["applied"] != self._count:
            raise Failed(f"the replay told {told[-1]}")

    def _add(
        self, number: int, case: str, who: str, started: Started, metrics: dict[str, float]
    ) -> None:
        applied = started.database.events()
        if applied != self._count:
            raise Failed(f"{applied} of {self._count} were applied")
        self._bench.results.add(number, "replay", case, who, "queue", **metrics)
