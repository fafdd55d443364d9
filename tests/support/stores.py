"""A migrated ledger to copy, made once for each test process; and ledgers of other releases."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from sqlalchemy import text

from app.ledger import migrate
from app.ledger.engine import open_engine
from app.ledger.schema import head

# A revision that no release has.
LATER = "9999"


def migrate_database(url: str) -> None:
    """Bring the database to the schema of this version."""
    engine = open_engine(url)
    migrate.upgrade(engine)
    engine.dispose()


def migrated_file(folder: Path) -> Path:
    """A SQLite ledger without rows, to copy."""
    path = folder / "migrated.db"
    migrate_database(f"sqlite:///{path}")
    return path


def migrate_to(url: str, revision: str) -> None:
    """Bring the database to the schema of this revision."""
    config, engine = migrate._config(), open_engine(url)
    with engine.begin() as connection:
        config.attributes.update(connection=connection, applied=[])
        command.upgrade(config, revision)
    engine.dispose()


def leave_as_later(url: str, since: str | None = None) -> None:
    """As a later release leaves a migrated ledger, which says since when it is compatible.

    None: it says nothing.
    """
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :to"), {"to": LATER})
        if since is not None:
            connection.execute(
                text(
                    "INSERT INTO schema_compatibility (revision, compatible_since)"
                    " VALUES (:to, :since)"
                ),
                {"to": LATER, "since": since},
            )
    engine.dispose()


def come_back(url: str) -> None:
    """The ledger is as it was before `leave_as_later`."""
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :to"), {"to": head()})
        connection.execute(
            text("DELETE FROM schema_compatibility WHERE revision = :later"), {"later": LATER}
        )
    engine.dispose()
