"""How many migrations a database lacks, asked without Alembic."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text

from app.ledger import migrate
from app.ledger.engine import open_engine
from app.ledger.schema import pending, revisions


@pytest.fixture
def empty(empty_url: str) -> Iterator[Engine]:
    """A database that was never migrated."""
    engine = open_engine(empty_url)
    yield engine
    engine.dispose()


def test_the_revisions_are_those_that_alembic_finds() -> None:
    scripts = ScriptDirectory(str(migrate.MIGRATIONS))
    assert revisions() == sorted(script.revision for script in scripts.walk_revisions())
    assert revisions()[-1] == migrate.head()


def test_a_migrated_database_lacks_none(engine: Engine) -> None:
    assert pending(engine) == 0


def test_a_database_that_was_never_migrated_lacks_all_of_them(empty: Engine) -> None:
    assert pending(empty) == len(revisions())


@pytest.mark.parametrize(
    ("kept", "lacks"),
    [("0000", len(revisions())), (revisions()[-1], 0), ("9999", 0), (None, len(revisions()))],
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
