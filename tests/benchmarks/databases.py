"""PostgreSQL and SQLite: fresh databases, copied from a template, and what they hold."""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psycopg

from tests.benchmarks.processes import cpu_of
from tests.support.postgres import Postgres, postgres_server

COUNT = "SELECT count(*) FROM events"


class Database(Protocol):
    """One database of one contestant. All but rq's have a table `events`, one row an event."""

    @property
    def url(self) -> str:
        """The DATABASE_URL."""

    def events(self) -> int:
        """How many events are committed."""

    def cpu(self) -> float:
        """Seconds of CPU of the server; SQLite has none of its own."""


class Databases(Protocol):
    """A kind of database. `template` is one that was made before, and that nobody uses now."""

    name: str

    def create(self, template: Database | None = None) -> Database:
        """A new database; it has to be removed with `drop`."""

    def drop(self, database: Database) -> None:
        """Remove it."""


@contextmanager
def temporary(kind: Databases, template: Database) -> Iterator[Database]:
    """A copy of `template`, removed at the end."""
    database = kind.create(template)
    try:
        yield database
    finally:
        kind.drop(database)


@dataclass(frozen=True)
class PostgresDatabase:
    """A database of our server."""

    name: str
    server: Postgres

    @property
    def url(self) -> str:
        """The DATABASE_URL."""
        return self.server.url(self.name)

    def events(self) -> int:
        """How many events are committed."""
        with psycopg.connect(self.url) as connection:
            row = connection.execute(COUNT).fetchone()
        return int(row[0]) if row else 0

    def sessions(self) -> int:
        """How many sessions the ledger has."""
        with psycopg.connect(self.url) as connection:
            row = connection.execute("SELECT count(*) FROM sessions").fetchone()
        return int(row[0]) if row else 0

    def execute(self, statements: str) -> None:
        """Run SQL."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statements.encode())

    def cpu(self) -> float:
        """Seconds of CPU of the whole server; no other database of it is in use."""
        return cpu_of(self.server.process.pid)


class PostgresDatabases:
    """Databases of one server that waits for the disk at each commit, as production does."""

    name = "PostgreSQL"

    def __init__(self, server: Postgres) -> None:
        self._server = server
        self._numbers = itertools.count()

    def create(self, template: Database | None = None) -> PostgresDatabase:
        """A new database. FILE_COPY ends with a checkpoint: no old page is left to be written."""
        name = f"bench_{next(self._numbers)}"
        source = template.name if isinstance(template, PostgresDatabase) else "template1"
        self._administer(f'CREATE DATABASE "{name}" TEMPLATE "{source}" STRATEGY FILE_COPY')
        return PostgresDatabase(name, self._server)

    def drop(self, database: Database) -> None:
        """Remove a database, whoever may still be connected to it."""
        assert isinstance(database, PostgresDatabase)
        self._administer(f'DROP DATABASE "{database.name}" WITH (FORCE)')

    def _administer(self, statement: str) -> None:
        with psycopg.connect(self._server.url(), autocommit=True) as connection:
            connection.execute(statement.encode())


def shared_buffers() -> str:
    """A quarter of the memory, as PostgreSQL's manual advises, but no more than 4 GB."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{min(memory // 4, 4 << 30) >> 20}MB"


@contextmanager
def postgres() -> Iterator[PostgresDatabases]:
    """A server of our own, with fsync on."""
    with postgres_server(durable=True, settings={"shared_buffers": shared_buffers()}) as server:
        yield PostgresDatabases(server)


@dataclass(frozen=True)
class SqliteDatabase:
    """A file."""

    path: Path

    @property
    def url(self) -> str:
        """The DATABASE_URL."""
        return f"sqlite:///{self.path}"

    def events(self) -> int:
        """How many events are committed."""
        with closing(sqlite3.connect(self.path)) as connection:
            return int(connection.execute(COUNT).fetchone()[0])

    def cpu(self) -> float:
        """SQLite runs in the workers."""
        return 0.0


class SqliteDatabases:
    """Files in a folder of ours."""

    name = "SQLite"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count()

    def create(self, template: Database | None = None) -> SqliteDatabase:
        """A new file, each in a folder of its own, for SQLite keeps more files beside it."""
        folder = self._folder / str(next(self._numbers))
        if isinstance(template, SqliteDatabase):
            shutil.copytree(template.path.parent, folder)
        else:
            folder.mkdir(parents=True)
        return SqliteDatabase(folder / "bench.db")

    def drop(self, database: Database) -> None:
        """Remove the file and those beside it."""
        assert isinstance(database, SqliteDatabase)
        shutil.rmtree(database.path.parent)
