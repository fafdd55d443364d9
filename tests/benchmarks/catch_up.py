"""Catch-up: how fast what was never delivered is brought in from Stripe's lists, by the sandbox."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.benchmarks.bench import Bench
from tests.benchmarks.client import deliver_all
from tests.benchmarks.contestants import Site
from tests.benchmarks.databases import PostgresDatabase, temporary
from tests.benchmarks.processes import (
    START_WITHIN,
    Command,
    Failed,
    free_port,
    listens,
    running,
    wait_until,
)
from tests.benchmarks.product import Product

# What each command brings in, and where its answer counts it.
COMMANDS = {"backfill": "missing", "import": "sessions"}
WORKERS = 2
SECONDS_PER_SESSION = 0.1


def opened(count: int) -> Iterator[bytes]:
    """Requests that open so many sessions at the sandbox, of which no webhook tells."""
    for number in range(count):
        fields = {"type": "document", "client_reference_id": f"user_{number}", "webhook": False}
        body = json.dumps(fields).encode()
        head = f"POST /_sandbox/sessions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}"
        yield head.encode() + b"\r\nContent-Type: application/json\r\n\r\n" + body


class CatchUp:
    """The product alone, by its own commands, their start included."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        assert isinstance(bench.contestants.product, Product)
        self._product = bench.contestants.product
        self._state = bench.folder / "stripe.json"

    def prepare(self) -> None:
        """So many sessions at the sandbox, kept in its file."""
        count = self._bench.plan.missed_sessions
        self._bench.tell(f"catch-up: {count:,} sessions are opened")
        with self._sandbox() as port:
            deliver_all(port, opened(count))

    @contextmanager
    def _sandbox(self) -> Iterator[int]:
        """Its port."""
        port, log = free_port(), self._bench.folder / "sandbox.log"
        log.unlink(missing_ok=True)
        arguments = ("-m", "deploy.sandbox", "--port", str(port), "--state", str(self._state))
        command = Command.python(*arguments, environment={})
        with running(command, log, graceful=True) as process:
            within = START_WITHIN + self._bench.plan.missed_sessions * SECONDS_PER_SESSION
            wait_until(lambda: listens(port), within, "sandbox", [process])
            yield port

    def round(self, number: int) -> None:
        """Each command into an empty ledger."""
        with self._sandbox() as port:
            for name, counted in COMMANDS.items():
                with self._bench.leg(f"catch-up: {name}"):
                    self._measure(number, name, counted, port)

    def _measure(self, number: int, name: str, counted: str, port: int) -> None:
        bench, product, count = self._bench, self._product, self._bench.plan.missed_sessions
        template = bench.template(product, bench.postgres)
        with (
            bench.valkey() as store,
            temporary(bench.postgres, template) as database,
            bench.workers(product, store, database, WORKERS) as workers,
        ):
            assert isinstance(database, PostgresDatabase)
            wait_until(
                lambda: product.registered(store.client) == WORKERS, START_WITHIN, "worker", workers
            )
            log = bench.folder / f"{name}.log"
            log.unlink(missing_ok=True)
            limit = START_WITHIN + count * SECONDS_PER_SESSION
            began = time.monotonic()
            command = product.catch_up(Site(store.url, database.url), name, port)
            with running(command, log) as process:
                wait_until(lambda: not process.alive(), limit, f"end of {name}", workers)
            found = json.loads(log.read_text().splitlines()[-1])[counted]
            if found != count:
                raise Failed(f"{name} brought in {found} of {count}: {process.tail()}")
            wait_until(lambda: database.sessions() == count, limit, "last session", workers)
            took = time.monotonic() - began
        case = f"{name} of {count:,}, PostgreSQL, {WORKERS} workers"
        bench.results.add(number, "catch-up", case, "product", "", per_second=count / took)
