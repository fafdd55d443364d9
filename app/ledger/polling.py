"""Which sessions Stripe should be asked about, and what it answered last."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Engine

from app.domain.durations import DAY, HOUR, MINUTE
from app.domain.effects import PROCESSING_OVERDUE
from app.domain.snapshot import SessionKey
from app.ledger import statements
from app.ledger.engine import for_reading, translates_errors

# Seconds between two questions about a session that is overdue, being redacted, or just open.
ASK_SOON, ASK_HOURLY, ASK_DAILY = 5 * MINUTE, HOUR, DAY
# Stripe redacts within four days.
REDACTION_OVERDUE = 4 * DAY


class Polling:
    """The part of the ledger that says which sessions to poll. Errors are those of `Ledger`."""

    def __init__(self, engine: Engine) -> None:
        """`engine` comes from `open_engine`, and may be shared with a `Ledger`."""
        self._engine = engine
        self._reading = for_reading(engine)

    @translates_errors
    def sessions_to_check(self, livemode: bool, now: int, limit: int) -> list[SessionKey]:
        """Sessions to ask Stripe about, the longest unasked first. `now` is in Unix seconds."""
        parameters = {
            "livemode": livemode,
            "overdue": now - PROCESSING_OVERDUE,
            "soon": now - ASK_SOON,
            "hourly": now - ASK_HOURLY,
            "daily": now - ASK_DAILY,
            "rows": limit,
        }
        with self._reading.connect() as connection:
            found = connection.execute(statements.TO_CHECK, parameters).all()
        return [SessionKey(row.id, row.account, livemode) for row in found]

    @translates_errors
    def mark_checked(self, sessions: Sequence[SessionKey], now: int) -> None:
        """Record that Stripe was asked about the sessions, and knew them; in one transaction."""
        if not sessions:
            return
        # In one order, so that two processes cannot deadlock.
        keys = sorted(sessions)
        with self._engine.begin() as connection:
            connection.execute(
                statements.MARK_CHECKED,
                [{**statements.this_session(session), "now": now} for session in keys],
            )

    @translates_errors
    def mark_missing(self, session: SessionKey, now: int) -> None:
        """Record that Stripe does not know the session."""
        with self._engine.begin() as connection:
            connection.execute(
                statements.MARK_MISSING, {**statements.this_session(session), "now": now}
            )

    @translates_errors
    def overdue_redactions(self, now: int) -> int:
        """How many redactions Stripe has not finished within its four days."""
        with self._reading.connect() as connection:
            before = {"before": now - REDACTION_OVERDUE}
            return connection.execute(statements.OVERDUE_REDACTIONS, before).scalar_one()
