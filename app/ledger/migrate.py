"""Bring a database to the schema of this version, once, however many processes ask."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from app.ledger.engine import for_reading, translates_errors

MIGRATIONS = Path(__file__).parent / "migrations"
# Any fixed number: every migration of a ledger in this PostgreSQL database takes this lock.
ADVISORY_LOCK = 0x1DE_717F
# Milliseconds. A migration may rewrite a large table, and waits for the one before it.
MIGRATION_TIMEOUT = 15 * 60 * 1000


@translates_errors
def upgrade(engine: Engine) -> list[str]:
    """Run the migrations that are missing, in one transaction; gives their ids, oldest first.

    What a later release has migrated is left as it is: after a rollback, this one works on it.
    """
    applied: list[str] = []
    config = _config()
    with engine.begin() as connection:
        _lock(connection)
        if is_later(MigrationContext.configure(connection).get_current_revision()):
            return []
        config.attributes.update(connection=connection, applied=applied)
        command.upgrade(config, "head")
    return applied


@translates_errors
def current(engine: Engine) -> str | None:
    """The id of the database's revision. None if it was never migrated."""
    with for_reading(engine).connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def head() -> str:
    """The id of the revision that this version needs."""
    found = ScriptDirectory.from_config(_config()).get_current_head()
    assert found is not None  # noqa: S101 - a build without migrations is not one
    return found


def mismatch(engine: Engine) -> str | None:
    """Why this release must not work on the database; None if it may.

    Raises LedgerUnavailable and LedgerBroken.
    """
    return describe_mismatch(current(engine), revisions())


def revisions() -> list[str]:
    """The ids of all revisions that this version knows, the newest first."""
    scripts = ScriptDirectory.from_config(_config())
    return [script.revision for script in scripts.walk_revisions()]


def describe_mismatch(found: str | None, known: Sequence[str]) -> str | None:
    """What is wrong with a database's revision, and what to do; None if this release works on it.

    It does on the newest that it knows, and on a later release's: migrations keep what it uses, so
    that an upgrade may be under way, or be undone.
    """
    newest = known[0]
    if found is None:
        return "the ledger is not migrated: run `python -m app migrate`"
    if found in known[1:]:
        return (
            f"the ledger is at revision {found}, and this release needs {newest}: run "
            "`python -m app migrate`"
        )
    return None


def is_later(revision: str | None) -> bool:
    """Whether a database's revision is of a later release: this one has no such migration."""
    return revision is not None and revision not in revisions()


def _config() -> Config:
    config = Config()
    # A percent sign would start an interpolation.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _lock(connection: Connection) -> None:
    """Let no other migration run until the transaction ends; SQLite's own has locked already."""
    if connection.dialect.name != "postgresql":
        return
    for name in ("statement_timeout", "lock_timeout"):
        connection.execute(text(f"SET LOCAL {name} = {MIGRATION_TIMEOUT}"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
