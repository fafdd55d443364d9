"""What keeps the ledger in step with Stripe: orphans, sessions to ask about, and marks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, Insert

from app.domain.session import Session
from app.ledger import rows, statements
from app.ledger.engine import for_reading, translates_errors

MINUTE, HOUR, DAY = 60, 3600, 86400
# "Most verification checks take less than one minute" (Stripe): a quarter of an hour is overdue.
PROCESSING_OVERDUE = 15 * MINUTE
# Seconds between two questions about a session that is overdue, being redacted, or just open.
ASK_SOON, ASK_HOURLY, ASK_SLOWLY = 5 * MINUTE, HOUR, DAY
# Stripe redacts within four days.
REDACTION_OVERDUE = 4 * DAY


@dataclass(frozen=True, slots=True)
class SessionKey:
    """What names a session in the ledger."""

    id: str
    account: str
    livemode: bool

    @property
    def parameters(self) -> dict[str, str | bool]:
        """As the statements name them."""
        return {
            "session_id": self.id,
            "session_account": self.account,
            "session_livemode": self.livemode,
        }


class Upkeep:
    """The part of the ledger that operators and the clock use. Errors are those of `Ledger`."""

    def __init__(self, engine: Engine) -> None:
        """`engine` comes from `open_engine`, and may be shared with a `Ledger`."""
        self._engine = engine
        self._reading = for_reading(engine)
        self._upserts = statements.UPSERTS[engine.dialect.name]

    @translates_errors
    def orphans(self, livemode: bool, limit: int, after: str = "") -> list[Session]:
        """Sessions that name no reference, by id, from the one after `after` on."""
        parameters = {"livemode": livemode, "after": after, "rows": limit}
        with self._reading.connect() as connection:
            return rows.sessions_of(connection.execute(statements.ORPHANS, parameters).all())

    @translates_errors
    def sessions_to_check(self, livemode: bool, now: int, limit: int) -> list[SessionKey]:
        """Sessions to ask Stripe about, the longest unasked first. `now` is in Unix seconds."""
        parameters = {
            "livemode": livemode,
            "overdue": now - PROCESSING_OVERDUE,
            "soon": now - ASK_SOON,
            "hourly": now - ASK_HOURLY,
            "slowly": now - ASK_SLOWLY,
            "rows": limit,
        }
        with self._reading.connect() as connection:
            found = connection.execute(statements.TO_CHECK, parameters).all()
        return [SessionKey(row.id, row.account, livemode) for row in found]

    @translates_errors
    def mark_checked(self, session: SessionKey, now: int) -> None:
        """Note that Stripe was asked about the session, and knew it."""
        with self._engine.begin() as connection:
            connection.execute(statements.MARK_CHECKED, {**session.parameters, "now": now})

    @translates_errors
    def mark_all_checked(self, sessions: Sequence[SessionKey], now: int) -> None:
        """The same of many, in one transaction."""
        if not sessions:
            return
        # In one order, so that two processes cannot lock each other out.
        keys = sorted(sessions, key=lambda session: (session.id, session.account))
        with self._engine.begin() as connection:
            connection.execute(
                statements.MARK_CHECKED, [{**session.parameters, "now": now} for session in keys]
            )

    @translates_errors
    def mark_missing(self, session: SessionKey, now: int) -> None:
        """Note that Stripe does not know the session."""
        with self._engine.begin() as connection:
            connection.execute(statements.MARK_MISSING, {**session.parameters, "now": now})

    @translates_errors
    def overdue_redactions(self, now: int) -> int:
        """How many sessions Stripe has not finished to redact in its four days."""
        with self._reading.connect() as connection:
            before = {"before": now - REDACTION_OVERDUE}
            return connection.execute(statements.OVERDUE_REDACTIONS, before).scalar_one()

    @translates_errors
    def discarded(self, event_ids: Collection[str]) -> set[str]:
        """Those of the events that an operator has removed for good."""
        if not event_ids:
            return set()
        with self._reading.connect() as connection:
            found = connection.execute(statements.DISCARDED, {"ids": list(event_ids)})
            return set(found.scalars())

    @translates_errors
    def forget_enqueued(self) -> None:
        """Note that no queue has any effect: Redis was lost."""
        with self._engine.begin() as connection:
            connection.execute(statements.FORGET_ENQUEUED)

    @translates_errors
    def modes(self) -> dict[bool, int]:
        """How many sessions of live (True) and test mode the ledger holds."""
        with self._reading.connect() as connection:
            return {row.livemode: row.sessions for row in connection.execute(statements.MODES)}

    @translates_errors
    def last_event(self) -> int | None:
        """When the newest applied event was created at Stripe, in Unix seconds."""
        with self._reading.connect() as connection:
            return connection.execute(statements.LAST_EVENT).scalar()

    @translates_errors
    def mark(self, name: str) -> str | None:
        """How far the work of this name has come; None where it was never begun."""
        with self._reading.connect() as connection:
            return connection.execute(statements.GET_MARK, {"mark": name}).scalar()

    @translates_errors
    def set_mark(self, name: str, value: str, now: int) -> None:
        """Note how far a work has come."""
        with self._engine.begin() as connection:
            self._write(connection, self._upserts.set_mark, name, value, now)

    @translates_errors
    def add_to_mark(self, name: str, count: int, now: int) -> None:
        """Count on; a mark that was never set starts at `count`."""
        with self._engine.begin() as connection:
            self._write(connection, self._upserts.add_to_mark, name, str(count), now)

    def _write(
        self, connection: Connection, statement: Insert, name: str, value: str, now: int
    ) -> None:
        connection.execute(statement, {"name": name, "value": value, "updated_at": now})
