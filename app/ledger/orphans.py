"""Sessions that name no reference."""

from __future__ import annotations

from sqlalchemy import Engine

from app.domain.session import Session
from app.ledger import rows, statements
from app.ledger.engine import for_reading, translates_errors


class Orphans:
    """The part of the ledger that lists orphans. Errors are those of `Ledger`."""

    def __init__(self, engine: Engine) -> None:
        """`engine` comes from `open_engine`, and may be shared with a `Ledger`."""
        self._engine = engine
        self._reading = for_reading(engine)

    @translates_errors
    def list(self, livemode: bool, limit: int, after: str = "") -> list[Session]:
        """At most `limit` orphans by id, starting after the session `after`."""
        parameters = {"livemode": livemode, "after": after, "rows": limit}
        with self._reading.connect() as connection:
            return rows.sessions_of(connection.execute(statements.ORPHANS, parameters).all())
