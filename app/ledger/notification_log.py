"""What each receiver knows of each reference, so that nothing older follows something newer."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine

from app.domain.standing import Standing
from app.ledger import rows, statements
from app.ledger.engine import for_reading, translates_errors


@dataclass(frozen=True, slots=True)
class ReceiverState:
    """How a reference stands, and what one receiver knows of it."""

    key: str
    client_reference_id: str
    purpose: str
    standing: Standing
    known_version: int  # 0 if it was sent nothing yet
    known_status: str | None


class NotificationLog:
    """The part of the ledger that notifications use. Errors are those of `Ledger`."""

    def __init__(self, engine: Engine) -> None:
        """`engine` comes from `open_engine`, and may be shared with a `Ledger`."""
        self._engine = engine
        self._reading = for_reading(engine)
        self._upserts = statements.UPSERTS[engine.dialect.name]

    @translates_errors
    def receiver_state(self, key: str, receiver: str) -> ReceiverState | None:
        """What there is to send to the receiver now; None for a reference never seen.

        `key` is the reference's digest.
        """
        with self._reading.connect() as connection:
            row = connection.execute(
                statements.RECEIVER_STATE, {"key": key, "receiver": receiver}
            ).first()
        if row is None:
            return None
        return ReceiverState(
            key=key,
            client_reference_id=row.client_reference_id,
            purpose=row.purpose,
            standing=rows.standing_of(row),
            known_version=row.known_version or 0,
            known_status=row.known_status,
        )

    @translates_errors
    def record_sent(self, key: str, receiver: str, standing: Standing, now: int) -> None:
        """Record that the receiver knows this standing; an older one changes nothing."""
        values = {
            "reference_key": key,
            "receiver": receiver,
            "version": standing.version,
            "status": standing.status,
            "updated_at": now,
        }
        with self._engine.begin() as connection:
            connection.execute(self._upserts.record_sent, values)
