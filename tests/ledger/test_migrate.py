"""The migrations make the schema that the code reads and writes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, text

from app.ledger import migrate
from app.ledger.engine import open_engine
from app.ledger.schema import revisions
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
    assert migrate.upgrade(empty) == revisions()
    assert migrate.upgrade(empty) == []


def test_an_empty_database_is_not_current(empty: Engine) -> None:
    assert migrate.current(empty) is None


def test_a_release_works_on_a_ledger_of_its_own_revision_and_of_a_later_one(empty: Engine) -> None:
    assert "not migrated" in str(migrate.mismatch(empty))
    migrate.upgrade(empty)
    assert migrate.mismatch(empty) is None
    with empty.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0999'"))
    assert migrate.mismatch(empty) is None


def test_a_ledger_of_an_earlier_release_has_to_be_migrated() -> None:
    told = migrate.describe_mismatch("0002", ["0003", "0002", "0001"])
    assert told == (
        "the ledger is at revision 0002, and this release needs 0003: run `python -m app migrate`"
    )


def test_an_upgraded_database_is_current(engine: Engine) -> None:
    assert migrate.current(engine) == migrate.head()


def test_what_a_later_release_has_migrated_is_left_as_it_is(empty: Engine) -> None:
    migrate.upgrade(empty)
    with empty.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert migrate.upgrade(empty) == []
    assert migrate.current(empty) == "9999"
