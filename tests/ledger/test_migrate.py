"""The migrations make the schema that the code reads and writes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine

from app.ledger import migrate
from app.ledger.engine import open_engine
from app.ledger.tables import metadata


@pytest.fixture
def empty(empty_url: str) -> Iterator[Engine]:
    """An engine on a database without tables."""
    engine = open_engine(empty_url)
    yield engine
    engine.dispose()


def test_migrations_and_tables_agree(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_an_upgrade_gives_the_revisions_it_ran(empty: Engine) -> None:
    assert migrate.upgrade(empty) == [migrate.head()]
    assert migrate.upgrade(empty) == []


def test_an_empty_database_is_not_current(empty: Engine) -> None:
    assert migrate.current(empty) is None


def test_an_upgraded_database_is_current(engine: Engine) -> None:
    assert migrate.current(engine) == migrate.head()
