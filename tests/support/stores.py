"""A migrated ledger to copy, made once for each test process."""

from __future__ import annotations

from pathlib import Path

from app.ledger import migrate
from app.ledger.engine import open_engine


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
