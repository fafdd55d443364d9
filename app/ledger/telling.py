"""What each receiver was told of each reference, so that nothing older follows something newer."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine

from app.domain.reference import Standing
from app.ledger import rows, statements
from app.ledger.engine import for_reading, translates_errors


@dataclass(frozen=True, slots=True)
class ToTell:
    """How a reference stands, and what one receiver knows of it."""

    key: str
    standing: Standing
    told_version: int  # 0 where it was told nothing yet
    told_status: str | None


class Telling:
    """The part of the ledger that notifications use. Errors are those of `Ledger`."""

    def __init__(self, engine: Engine) -> None:
        """`engine` comes from `open_engine`, and may be shared with a `Ledger`."""
        self._engine = engine
        self._reading = for_reading(engine)
        self._upserts = statements.UPSERTS[engine.dialect.name]

    @translates_errors
    def to_tell(
        self, reference: str, *, account: str, livemode: bool, receiver: str
    ) -> ToTell | None:
        """What the receiver has to hear now; None for a reference never seen."""
        key = rows.reference_key(account, livemode, reference)
        with self._reading.connect() as connection:
            row = connection.execute(statements.TO_TELL, {"key": key, "receiver": receiver}).first()
        if row is None:
            return None
        return ToTell(key, rows.standing_of(row), row.told_version or 0, row.told_status)

    @translates_errors
    def mark_told(self, key: str, receiver: str, standing: Standing, now: int) -> None:
        """Note that the receiver knows this standing; an older one changes nothing."""
        values = {
            "reference_key": key,
            "receiver": receiver,
            "version": standing.version,
            "status": standing.status,
            "updated_at": now,
        }
        with self._engine.begin() as connection:
            connection.execute(self._upserts.mark_told, values)
