"""Small named values: how far a long task has come, counters, and flags."""

from __future__ import annotations

from sqlalchemy import Engine, Insert

from app.ledger import statements
from app.ledger.engine import for_reading, translates_errors


class Cursors:
    """The ledger's named values. Errors are those of `Ledger`."""

    def __init__(self, engine: Engine) -> None:
        """`engine` comes from `open_engine`, and may be shared with a `Ledger`."""
        self._engine = engine
        self._reading = for_reading(engine)
        self._upserts = statements.UPSERTS[engine.dialect.name]

    @translates_errors
    def get(self, name: str) -> str | None:
        """The value of this name; None if it was never set."""
        with self._reading.connect() as connection:
            return connection.execute(statements.GET_CURSOR, {"name": name}).scalar()

    @translates_errors
    def set(self, name: str, value: str, now: int) -> None:
        """Set the value. `now` is in Unix seconds."""
        self._write(self._upserts.set_cursor, name, value, now)

    @translates_errors
    def add(self, name: str, count: int, now: int) -> None:
        """Add `count` to a counter; one that was never set starts at 0."""
        self._write(self._upserts.add_to_cursor, name, str(count), now)

    @translates_errors
    def try_write(self) -> None:
        """Write a value and roll it back: nothing of it stays."""
        values = {"name": "writable", "value": "", "updated_at": 0}
        with self._engine.connect() as connection, connection.begin() as transaction:
            connection.execute(self._upserts.set_cursor, values)
            transaction.rollback()

    def _write(self, statement: Insert, name: str, value: str, now: int) -> None:
        with self._engine.begin() as connection:
            connection.execute(statement, {"name": name, "value": value, "updated_at": now})
