"""The migrations make the schema that the code reads and writes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine

from app.ledger import migrate, server
from app.ledger.engine import LedgerBroken, open_engine
from app.ledger.schema import head, read_schema, revisions
from app.ledger.tables import metadata
from tests.support.stores import LATER, leave_as_later


@pytest.fixture
def empty(empty_url: str) -> Iterator[Engine]:
    """An engine on a database without tables."""
    engine = open_engine(empty_url)
    yield engine
    engine.dispose()


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_server_that_is_too_old_is_refused_before_anything_is_written(
    empty: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "OLDEST", (1000,))
    with pytest.raises(LedgerBroken, match=r"is older than version 15 \(\d+\.\d+\): upgrade"):
        migrate.upgrade(empty)
    assert read_schema(empty).revision is None


def test_migrations_and_tables_agree(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_an_upgrade_gives_the_revisions_it_ran(empty: Engine) -> None:
    assert migrate.upgrade(empty) == revisions()
    assert migrate.upgrade(empty) == []


def test_an_upgraded_database_is_current(engine: Engine) -> None:
    assert read_schema(engine).revision == head()


def test_what_a_later_release_has_migrated_is_left_as_it_is(empty_url: str, empty: Engine) -> None:
    migrate.upgrade(empty)
    leave_as_later(empty_url, since=head())
    assert migrate.upgrade(empty) == []
    assert read_schema(empty).revision == LATER
