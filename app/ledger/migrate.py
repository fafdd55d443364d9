"""Bring a database to the schema of this version, once, however many processes ask."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, text

from app.ledger.engine import translates_errors
from app.ledger.schema import fit, revisions, schema_of, too_new
from app.ledger.server import refuse_old

MIGRATIONS = Path(__file__).parent / "migrations"
# Any fixed number: every migration of a ledger in this PostgreSQL database takes this lock.
ADVISORY_LOCK = 0x1DE_717F
# Milliseconds. A migration may rewrite a large table, and waits for the one before it.
MIGRATION_TIMEOUT = 15 * 60 * 1000


@translates_errors
def upgrade(engine: Engine) -> list[str]:
    """Run the migrations that are missing, in one transaction; gives their ids, oldest first.

    What a later release has migrated is left as it is: after a rollback, this one works on it.
    Raises LedgerTooNew if it cannot.
    """
    applied: list[str] = []
    config = _config()
    with engine.begin() as connection:
        refuse_old(connection)
        _lock(connection)
        schema = schema_of(connection)
        found = fit(schema, revisions())
        if found == "too new":
            raise too_new(engine, schema.revision)
        if found == "later":
            return []
        config.attributes.update(connection=connection, applied=applied)
        command.upgrade(config, "head")
    return applied


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
