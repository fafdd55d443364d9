"""A migration only adds, or says that older releases may not work on its schema any more."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import op
from alembic.script import ScriptDirectory

from app.ledger import migrate
from tests.support.expanding import narrowing

SCRIPTS = ScriptDirectory(str(migrate.MIGRATIONS))
# The oldest first. Those before 0004 were never in a release without it.
MIGRATIONS = {one.revision: one.module for one in reversed(list(SCRIPTS.walk_revisions()))}
AFTER_THE_FIRST = [revision for revision in MIGRATIONS if revision > "0001"]


def since(revision: str) -> str:
    return str(getattr(MIGRATIONS[revision], "compatible_since", "0001"))


def narrows(upgrade: Callable[[], object]) -> list[str]:
    return narrowing(SimpleNamespace(upgrade=upgrade))


@pytest.mark.parametrize("revision", AFTER_THE_FIRST)
def test_what_a_migration_takes_away_no_older_release_may_miss(revision: str) -> None:
    """Else raise its `compatible_since` to the revision of the release that stopped using it."""
    before = since(MIGRATIONS[revision].down_revision)
    taken = narrowing(MIGRATIONS[revision])
    assert not taken or since(revision) > before, taken


@pytest.mark.parametrize("revision", AFTER_THE_FIRST)
def test_the_release_before_may_always_work_and_none_that_could_not_before(revision: str) -> None:
    before = since(MIGRATIONS[revision].down_revision)
    assert before <= since(revision) < revision
    assert since(revision) in MIGRATIONS


def index_of_a_new_table() -> None:
    op.create_table("new", sa.Column("id", sa.Text, nullable=False))
    op.create_index("ix_new", "new", ["id"], unique=True)


@pytest.mark.parametrize(
    "upgrade",
    [
        pytest.param(index_of_a_new_table, id="a table, with a unique index"),
        pytest.param(lambda: op.add_column("events", sa.Column("a", sa.Text)), id="a null column"),
        pytest.param(
            lambda: op.add_column(
                "events", sa.Column("a", sa.BigInteger, nullable=False, server_default="0")
            ),
            id="a column with a default",
        ),
        pytest.param(lambda: op.create_index("ix", "events", ["name"]), id="an index"),
        pytest.param(lambda: op.execute("CREATE VIEW seen AS SELECT 1"), id="a view"),
    ],
)
def test_what_only_adds_is_seen_to_do_so(upgrade: Callable[[], object]) -> None:
    assert narrows(upgrade) == []


def in_a_batch() -> None:
    with op.batch_alter_table("events") as batch:
        batch.drop_column("name")


NARROWING: dict[str, Callable[[], Any]] = {
    "a table dropped": lambda: op.drop_table("events"),
    "a table renamed": lambda: op.rename_table("events", "seen"),
    "a column dropped": lambda: op.drop_column("events", "name"),
    "a column dropped in a batch": in_a_batch,
    "a column renamed": lambda: op.alter_column("events", "name", new_column_name="kind"),
    "a column that may be null no more": lambda: op.alter_column("events", "name", nullable=False),
    "a column of another type": lambda: op.alter_column("events", "name", type_=sa.Integer()),
    "a new column that has to be given": lambda: op.add_column(
        "events", sa.Column("a", sa.Text, nullable=False)
    ),
    "a unique index": lambda: op.create_index("ix", "events", ["name"], unique=True),
    "an index dropped": lambda: op.drop_index("ix_events_created", "events"),
    "a unique constraint": lambda: op.create_unique_constraint("uq", "events", ["name"]),
    "a check": lambda: op.create_check_constraint("ck", "events", "created > 0"),
    "a foreign key": lambda: op.create_foreign_key("fk", "events", "sessions", ["a"], ["id"]),
    "a constraint dropped": lambda: op.drop_constraint("pk_events", "events"),
    "rows changed": lambda: op.execute("UPDATE sessions SET status = 'verified'"),
    "a view replaced": lambda: op.execute("CREATE OR REPLACE VIEW reference_standings AS SELECT 1"),
    "a view dropped": lambda: op.execute("DROP VIEW reference_standings"),
}


@pytest.mark.parametrize("upgrade", NARROWING.values(), ids=NARROWING)
def test_what_takes_away_is_found(upgrade: Callable[[], object]) -> None:
    assert len(narrows(upgrade)) == 1


def test_what_is_done_past_alembic_fails_as_it_cannot_be_seen() -> None:
    with pytest.raises(AssertionError, match="cannot be seen"):
        narrows(lambda: op.get_bind().execute(sa.text("DROP TABLE events")))
