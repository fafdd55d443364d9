"""How several references stand, as of one moment."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Engine

from app.domain.standing import ReferenceKey, Standing
from app.ledger import rows, statements
from app.ledger.engine import for_reading, translates_errors


@translates_errors
def standings_of(
    engine: Engine, keys: Collection[str]
) -> dict[str, tuple[ReferenceKey, Standing | None]]:
    """The references of these digests, and how they stand; those that were never seen are left out.

    One that has only had letters discarded does not stand yet. Raises the ledger's errors.
    """
    if not keys:
        return {}
    with for_reading(engine).connect() as connection:
        found = connection.execute(statements.READ_STANDINGS, {"keys": sorted(keys)}).all()
    return {
        row.key: (rows.reference_key_of(row), rows.standing_of(row) if row.version else None)
        for row in found
    }
