"""A migration only adds, or says that older releases may not work on its schema any more."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import op
from alembic.script import ScriptDirectory
from packaging.version import Version

from app.ledger import migrate
from app.version import version
from tests.releases.holding import RELEASES, revision_of
from tests.support.expanding import locks_out, narrowing

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
def test_a_migration_lets_no_release_in_again_and_does_not_lock_out_all_others(
    revision: str,
) -> None:
    before = since(MIGRATIONS[revision].down_revision)
    assert before <= since(revision) < revision
    assert since(revision) in MIGRATIONS


def test_this_schema_is_for_the_newest_release_that_is_out_too() -> None:
    in_the_making = Version(version()).base_version
    out = [revision_of(release) for release in RELEASES if release != in_the_making]
    assert not locks_out(since(max(MIGRATIONS)), out)


@pytest.mark.parametrize(
    ("compatible_since", "out", "locked"),
    [("0001", [], False), ("0004", ["0002", "0004"], False), ("0005", ["0002", "0004"], True)],
)
def test_a_schema_that_locks_out_the_newest_release_is_found(
    compatible_since: str, out: list[str], locked: bool
) -> None:
    assert locks_out(compatible_since, out) is locked


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
