"""Replay: how fast dead letters are put back and applied, by the product's own command."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.benchmarks.bench import Bench, cpu_now
from tests.benchmarks.contestants import Site
from tests.benchmarks.databases import PostgresDatabase, temporary
from tests.benchmarks.processes import START_WITHIN, Failed, running, wait_until
from tests.benchmarks.product import Product
from tests.benchmarks.stripe_events import openings

# A database that refuses every event: what time does not mend is buried at once.
REFUSE = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'refused'; END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION refuse();
"""
WORKERS = 2
SECONDS_PER_LETTER = 0.1


class Replay:
    """The product alone: neither stock RQ nor Celery has a replay that waits for the outcome."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        assert isinstance(bench.contestants.product, Product)
        self._product = bench.contestants.product
        self._seed: Path | None = None

    def prepare(self) -> None:
        """Events that die, each a session opened, and the snapshot of their dead letters."""
        bench, product, count = self._bench, self._product, self._bench.plan.dead_letters
        bench.tell(f"replay: {count:,} events die")
        queued = bench.preload(product, openings("r", count), count)
        with (
            bench.valkey(seed=queued) as store,
            temporary(bench.postgres, bench.template(product, bench.postgres)) as database,
        ):
            assert isinstance(database, PostgresDatabase)
            database.execute(REFUSE)
            with bench.workers(product, store, database, WORKERS) as workers:
                limit = START_WITHIN + count * SECONDS_PER_LETTER
                wait_until(lambda: not product.pending(store.client), limit, "dead", workers)
            found = product.dead_letters(store.client)
            product.forget_workers(store.client)
            self._seed = store.snapshot(bench.new_folder())
        if found != count:
            raise Failed(f"{found} dead letters of {count}")

    def round(self, number: int) -> None:
        """One replay of all, its start included."""
        bench, product, count = self._bench, self._product, self._bench.plan.dead_letters
        template = bench.template(product, bench.postgres)
        with (
            bench.leg(f"replay: {count:,} letters"),
            bench.valkey(seed=self._seed) as store,
            temporary(bench.postgres, template) as database,
            bench.workers(product, store, database, WORKERS) as workers,
        ):
            wait_until(
                lambda: product.registered(store.client) == WORKERS, START_WITHIN, "worker", workers
            )
            before, began = cpu_now(workers, store, database), time.monotonic()
            command = product.replay(Site(store.url, database.url))
            log = bench.folder / "replay.log"
            log.unlink(missing_ok=True)
            with running(command, log) as replay:
                limit = START_WITHIN + count * SECONDS_PER_LETTER
                wait_until(lambda: not replay.alive(), limit, "end of the replay", workers)
            took = time.monotonic() - began
            after = cpu_now(workers, store, database)
            told = log.read_text().splitlines()
            if database.events() != count:
                raise Failed(f"{database.events()} of {count} replayed: {told[-5:]}")
            if json.loads(told[-1])["applied"] != count:
                raise Failed(f"the replay told {told[-1]}")
            bench.results.add(
                number,
                "replay",
                f"{count:,} letters, PostgreSQL, {WORKERS} workers",
                "product",
                "",
                per_second=count / took,
                **after.per_event(before, count),
            )
