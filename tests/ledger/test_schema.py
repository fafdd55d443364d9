"""Whether this release may work on a database's schema, asked without Alembic."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text

from app.ledger import migrate
from app.ledger.engine import LedgerTooNew, LedgerUnavailable, open_engine
from app.ledger.schema import (
    Fit,
    Schema,
    fit,
    head,
    mismatch,
    pending,
    read_schema,
    refuse_if_known_too_new,
    refuse_too_new,
    revisions,
)
from tests.support.stores import LATER, leave_as_later, migrate_to


@pytest.fixture
def empty(empty_url: str) -> Iterator[Engine]:
    """A database that was never migrated."""
    engine = open_engine(empty_url)
    yield engine
    engine.dispose()


def test_the_revisions_are_those_that_alembic_finds() -> None:
    scripts = ScriptDirectory(str(migrate.MIGRATIONS))
    assert revisions() == sorted(script.revision for script in scripts.walk_revisions())
    assert head() == scripts.get_current_head()


@pytest.mark.parametrize(
    ("schema", "fits"),
    [
        (Schema(None), "empty"),
        (Schema("0001"), "behind"),
        (Schema("0003"), "current"),
        (Schema("0009", compatible_since="0003"), "later"),
        (Schema("0009", compatible_since="0001"), "later"),
        (Schema("0009", compatible_since="0004"), "too new"),
        (Schema("0009", compatible_since=None), "too new"),
        (Schema("of_a_fork", compatible_since=None), "too new"),
    ],
    ids=str,
)
def test_a_release_works_on_what_it_knows_and_on_what_says_that_it_may(
    schema: Schema, fits: Fit
) -> None:
    assert fit(schema, ["0001", "0002", "0003"]) == fits


def test_each_migration_says_which_releases_may_work_on_its_schema(empty: Engine) -> None:
    migrate.upgrade(empty)
    with empty.connect() as connection:
        rows = connection.execute(text("SELECT revision FROM schema_compatibility ORDER BY 1"))
        assert [row.revision for row in rows] == [id for id in revisions() if id >= "0004"]


def test_a_later_schema_that_says_so_is_worked_on(empty_url: str, empty: Engine) -> None:
    migrate.upgrade(empty)
    leave_as_later(empty_url, since=head())
    assert read_schema(empty) == Schema(LATER, head())
    refuse_too_new(empty)
    assert mismatch(empty) is None


@pytest.mark.parametrize("since", [LATER, None])
def test_a_later_schema_that_has_dropped_what_this_release_needs_or_says_nothing_is_refused(
    empty_url: str, empty: Engine, since: str | None
) -> None:
    migrate.upgrade(empty)
    leave_as_later(empty_url, since=since)
    for ask in (refuse_too_new, refuse_if_known_too_new, mismatch, migrate.upgrade):
        with pytest.raises(LedgerTooNew) as raised:
            ask(empty)
        assert "has a schema that this release is too old for (revision 9999): deploy the" in str(
            raised.value
        )
    assert read_schema(empty).revision == LATER


def test_a_schema_of_somebody_else_without_our_table_is_refused(
    empty_url: str, empty: Engine
) -> None:
    migrate_to(empty_url, "0003")
    leave_as_later(empty_url)
    with pytest.raises(LedgerTooNew):
        refuse_too_new(empty)


def test_what_cannot_be_asked_is_left_to_whoever_needs_it() -> None:
    engine = open_engine("sqlite:////no/such/folder/ledger.db")
    refuse_if_known_too_new(engine)
    with pytest.raises(LedgerUnavailable):
        refuse_too_new(engine)


def test_a_ledger_that_lacks_migrations_has_to_be_migrated(empty_url: str, empty: Engine) -> None:
    assert mismatch(empty) == "the ledger is not migrated: run `python -m app migrate`"
    migrate_to(empty_url, "0002")
    assert mismatch(empty) == (
        f"the ledger is at revision 0002, and this release needs {head()}: run "
        "`python -m app migrate`"
    )
    migrate.upgrade(empty)
    assert mismatch(empty) is None


def test_a_migrated_database_lacks_none(engine: Engine) -> None:
    assert pending(engine) == 0


def test_a_database_that_was_never_migrated_lacks_all_of_them(empty: Engine) -> None:
    assert pending(empty) == len(revisions())


@pytest.mark.parametrize(
    ("kept", "lacks"),
    [("0000", len(revisions())), (head(), 0), (LATER, 0), (None, len(revisions()))],
    ids=["an earlier release", "this release", "a later release", "none"],
)
def test_what_a_database_lacks_is_told_by_its_revision(
    empty: Engine, kept: str | None, lacks: int
) -> None:
    with empty.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        if kept is not None:
            connection.execute(text("INSERT INTO alembic_version VALUES (:id)"), {"id": kept})
    assert pending(empty) == lacks
