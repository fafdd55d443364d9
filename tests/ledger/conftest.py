"""Each test of the ledger runs on both databases, in one of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from sqlalchemy import Engine

from app.domain.reconcile import Applied
from app.domain.session import Observation
from app.ledger.engine import open_engine
from app.ledger.ledger import Ledger
from app.ledger.tables import metadata
from tests.ledger.asking import ask_all
from tests.support.ledger import NOW, POLICY
from tests.support.postgres import Postgres
from tests.support.postgres_versions import installations
from tests.support.stores import migrate_database


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The installation of each earlier version of PostgreSQL, by its number."""
    return installations(tmp_path_factory)


@pytest.fixture(scope="session")
def migrated_postgres(postgres: Postgres) -> str:
    """The URL of a migrated database, to empty before each test."""
    url = postgres.url(postgres.create_database())
    migrate_database(url)
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    """Which of the two databases."""
    return str(request.param)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def years_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a migrated database, for a module that fills it with years."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('years') / 'ledger.db'}"
    else:
        server = request.getfixturevalue("postgres")
        url = server.url(server.create_database())
    migrate_database(url)
    return url


@pytest.fixture
def empty_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database that was never migrated."""
    if backend == "sqlite":
        yield f"sqlite:///{tmp_path / 'ledger.db'}"
        return
    server = request.getfixturevalue("postgres")
    name = server.create_database()
    yield server.url(name)
    server.drop_database(name)


@pytest.fixture
def url(backend: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a migrated database without rows."""
    if backend == "sqlite":
        yield request.getfixturevalue("database_url")
        return
    url = request.getfixturevalue("migrated_postgres")
    tables = ", ".join(f'"{table}"' for table in metadata.tables)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"TRUNCATE {tables} RESTART IDENTITY".encode())
    yield url


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """An engine on the migrated database."""
    engine = open_engine(url)
    yield engine
    engine.dispose()


@dataclass(frozen=True)
class Scribe:
    """A ledger, and the handlers to apply observations with."""

    ledger: Ledger
    engine: Engine

    def apply(self, *observations: Observation) -> list[Applied]:
        """Apply each in a transaction of its own."""
        return [
            applied
            for one in observations
            for applied in self.ledger.apply([one], policy=POLICY, now=NOW)
        ]

    def query(self, statement: str) -> list[tuple[object, ...]]:
        """What SQL sees."""
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(statement)]


@pytest.fixture
def make_read_only(backend: str, engine: Engine, url: str) -> Iterator[Callable[[], None]]:
    """Has the database take no more writes, of whoever connects from now on."""
    if backend == "sqlite":
        yield lambda: ask_all(engine, "PRAGMA query_only = ON")
        return

    def make() -> None:
        administer(url, "ALTER DATABASE {} SET default_transaction_read_only = on")
        engine.dispose()

    yield make
    administer(url, "ALTER DATABASE {} RESET default_transaction_read_only")


def administer(url: str, statement: str) -> None:
    """Execute a statement about the database of this URL, though it be read-only."""
    with psycopg.connect(url, options="-c default_transaction_read_only=off") as connection:
        connection.execute(SQL(statement).format(Identifier(connection.info.dbname)))


@pytest.fixture
def scribe(engine: Engine) -> Scribe:
    """A ledger without rows."""
    return Scribe(Ledger(engine), engine)


@pytest.fixture
def ledger(scribe: Scribe) -> Ledger:
    """The same ledger alone."""
    return scribe.ledger
