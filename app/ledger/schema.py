"""Whether the database has this release's tables, asked without Alembic: it takes long to load."""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy import Engine, inspect, text

from app.ledger.engine import for_reading, translates_errors

VERSIONS = Path(__file__).parent / "migrations" / "versions"
# A migration's file begins with its id: `0001_ledger.py`.
REVISION = re.compile(r"([0-9]+)_\w+\.py\Z")
# In Alembic's own table.
CURRENT = text("SELECT version_num FROM alembic_version")


def revisions() -> list[str]:
    """The ids of this release's migrations, oldest first."""
    found = (REVISION.match(path.name) for path in VERSIONS.iterdir())
    return sorted(match[1] for match in found if match)


@translates_errors
def pending(engine: Engine) -> int:
    """How many migrations the database lacks; 0 for one that a later release has migrated."""
    known = revisions()
    with for_reading(engine).connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return len(known)
        current = connection.execute(CURRENT).scalar()
    return len(known) if current is None else sum(id > current for id in known)
