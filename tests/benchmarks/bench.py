"""What the parts share: contestants, databases, folders, and the steps that most of them take."""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import psycopg
from redis.exceptions import RedisError

from tests.benchmarks.client import deliver_all
from tests.benchmarks.contestants import Contestant, Contestants, Site
from tests.benchmarks.databases import Database, Databases, PostgresDatabases, SqliteDatabases
from tests.benchmarks.plan import Plan
from tests.benchmarks.processes import (
    START_WITHIN,
    Failed,
    Process,
    free_port,
    listens,
    run,
    running,
    wait_until,
)
from tests.benchmarks.results import Results
from tests.benchmarks.valkey import Valkey, valkey

MICROSECONDS = 1e6
# What a slow or full machine does to us; all else is a fault of ours.
FAILURES = (Failed, RedisError, psycopg.Error, OSError)


@dataclass(frozen=True)
class Cpu:
    """Seconds of CPU used so far, by whom."""

    own: float
    valkey: float
    database: float

    def per_event(self, before: Cpu, events: int) -> dict[str, float]:
        """Microseconds for each event since `before`, by the names of results.py."""
        scale = MICROSECONDS / events
        return {
            "cpu_own_us": (self.own - before.own) * scale,
            "cpu_valkey_us": (self.valkey - before.valkey) * scale,
            "cpu_database_us": (self.database - before.database) * scale,
        }


def cpu_now(own: Iterable[Process], store: Valkey, database: Database | None = None) -> Cpu:
    """Of the contestant's processes, Valkey and the database."""
    used = sum(process.cpu() for process in own)
    return Cpu(used, store.process.cpu(), database.cpu() if database else 0.0)


def drained(
    left: Callable[[], int],
    events: int,
    cpu: Callable[[], Cpu],
    limit: float,
    workers: Sequence[Process],
) -> dict[str, float]:
    """Rate and CPU until so many events are done, `limit` seconds at most; `left` still are not.

    The clock begins once the first event is done: a worker's start is no part of it.
    """
    wait_until(lambda: left() < events, START_WITHIN, "first event", workers)
    before, began, first = cpu(), time.monotonic(), left()
    wait_until(lambda: left() == 0, limit, "last event", workers)
    took = time.monotonic() - began
    return {"per_second": first / took, **cpu().per_event(before, first)}


@dataclass
class Bench:
    """One run."""

    folder: Path
    plan: Plan
    contestants: Contestants
    postgres: PostgresDatabases
    sqlite: SqliteDatabases
    results: Results
    tell: Callable[[str], None]
    failures: list[str]
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _templates: dict[tuple[str, str], Database] = field(default_factory=dict)

    @contextmanager
    def leg(self, what: str) -> Iterator[None]:
        """One measurement: where it fails, that is told, and the others go on."""
        self.tell(what)
        try:
            yield
        except FAILURES as failure:
            self.failures.append(f"{what}: {failure}")

    def new_folder(self) -> Path:
        """The path of one that is not there yet."""
        return self.folder / f"run-{next(self._numbers)}"

    def _new_log(self, name: str) -> Path:
        return self.folder / f"{name}-{next(self._numbers)}.log"

    def template(self, contestant: Contestant, kind: Databases) -> Database:
        """A migrated, empty database of the contestant, made once."""
        key = (contestant.name, kind.name)
        if key not in self._templates:
            database = kind.create()
            site = Site("redis://127.0.0.1:1/0", database.url)
            run(contestant.migrate(site), self.folder / "migrate.log", START_WITHIN)
            self._templates[key] = database
        return self._templates[key]

    @contextmanager
    def valkey(self, *, fsync: str = "everysec", seed: Path | None = None) -> Iterator[Valkey]:
        """A server whose files are removed at the end."""
        folder = self.new_folder()
        try:
            with valkey(folder, fsync=fsync, seed=seed) as store:
                yield store
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def web(self, contestant: Contestant, store: Valkey) -> Iterator[tuple[Process, int]]:
        """A web process that listens, and its port."""
        port = free_port()
        log = self._new_log(f"web-{contestant.name}")
        site = Site(store.url, port=port, fsync=store.fsync)
        with running(contestant.web(site), log) as process:
            wait_until(lambda: listens(port), START_WITHIN, "web process", [process])
            yield process, port
        log.unlink()

    @contextmanager
    def workers(
        self, contestant: Contestant, store: Valkey, database: Database, count: int
    ) -> Iterator[list[Process]]:
        """So many workers, just started."""
        site = Site(store.url, database.url)
        log = self._new_log(f"workers-{contestant.name}")
        with ExitStack() as stack:
            commands = contestant.workers(site, count)
            yield [stack.enter_context(running(command, log)) for command in commands]
        log.unlink()

    def preload(self, contestant: Contestant, requests: Iterable[bytes], events: int) -> Path:
        """A snapshot of a Valkey that holds these deliveries, taken in by the contestant's web."""
        with self.valkey() as store, self.web(contestant, store) as (_, port):
            deliver_all(port, requests)
            found = contestant.pending(store.client)
            if found != events:
                raise Failed(f"{contestant.name} holds {found} of {events} deliveries")
            return store.snapshot(self.new_folder())


class Part(Protocol):
    """A part of the suite."""

    def prepare(self) -> None:
        """What all rounds need, once."""

    def round(self, number: int) -> None:
        """Measure every contestant once; `number` counts from 0."""
