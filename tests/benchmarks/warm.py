"""A whole stack that has worked already: for what is measured of one that does little."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.benchmarks.bench import Bench, Cpu, cpu_now
from tests.benchmarks.client import deliver_all
from tests.benchmarks.contestants import Contestant
from tests.benchmarks.databases import PostgresDatabase, temporary
from tests.benchmarks.processes import START_WITHIN, Process, wait_until
from tests.benchmarks.stripe_events import openings
from tests.benchmarks.valkey import Valkey

WORKERS = 2
WARM_UP = 50


@dataclass(frozen=True)
class WarmStack:
    """Web, which listens at `port`, workers, and their stores."""

    store: Valkey
    database: PostgresDatabase
    processes: list[Process]
    port: int

    def cpu(self) -> Cpu:
        """What all of it has used so far."""
        return cpu_now(self.processes, self.store, self.database)


@contextmanager
def warm_stack(bench: Bench, contestant: Contestant, sql: str = "") -> Iterator[WarmStack]:
    """One that has applied some events, on a database in which the SQL has been run.

    Before the events: it has every statement planned anew.
    """
    with (
        bench.valkey() as store,
        temporary(bench.postgres, bench.template(contestant, bench.postgres)) as database,
        bench.workers(contestant, store, database, WORKERS) as workers,
        bench.web(contestant, store) as (web, port),
    ):
        assert isinstance(database, PostgresDatabase)
        if sql:
            database.execute(sql)
        bench.tell(f"warming {contestant.name}")
        deliver_all(port, openings("w", WARM_UP))
        wait_until(lambda: database.events() == WARM_UP, START_WITHIN, "events", workers)
        yield WarmStack(store, database, [web, *workers], port)
