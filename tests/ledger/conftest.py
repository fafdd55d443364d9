"""Each test of the ledger runs on both databases, in one of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine

from app.domain.reconcile import Applied
from app.domain.session import Observation
from app.ledger.engine import open_engine
from app.ledger.ledger import Ledger
from app.ledger.tables import metadata
from tests.support.ledger import NOW, POLICY
from tests.support.postgres import Postgres
from tests.support.stores import migrate_database


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
def read_only(backend: str) -> str:
    """The statement that has a connection take no more writes."""
    return {
        "sqlite": "PRAGMA query_only = ON",
        "postgresql": "SET default_transaction_read_only = on",
    }[backend]


@pytest.fixture
def scribe(engine: Engine) -> Scribe:
    """A ledger without rows."""
    return Scribe(Ledger(engine), engine)


@pytest.fixture
def ledger(scribe: Scribe) -> Ledger:
    """The same ledger alone."""
    return scribe.ledger
