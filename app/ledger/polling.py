"""Which sessions Stripe should be asked about, and what it answered last."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Engine

from app.domain.durations import DAY, MINUTE
from app.domain.polling import LAST_QUESTION, next_poll
from app.domain.snapshot import SessionKey
from app.ledger import polling_statements, rows, statements
from app.ledger.apply_statements import APPLY
from app.ledger.engine import for_reading, translates_errors

# Stripe redacts within four days.
REDACTION_OVERDUE = 4 * DAY
# What is overdue is counted up to this: how many more there are helps nobody.
MAX_COUNTED = 1_000
# Seconds until a session that Stripe does not know is asked about again: the first wait, each later
# one twice as long, and none that would end later than this after the first answer.
ASK_MISSING_AFTER, ASK_MISSING_UNTIL = DAY, LAST_QUESTION

# Seconds until a session that Stripe gave no answer for is asked about again: behind all others.
ASK_UNANSWERED_AFTER = 15 * MINUTE


class Polling:
    """The part of the ledger that says which sessions to poll. Errors are those of `Ledger`."""

    def __init__(self, engine: Engine) -> None:
        """`engine` comes from `open_engine`, and may be shared with a `Ledger`."""
        self._engine = engine
        self._reading = for_reading(engine)
        self._bulk = APPLY[engine.dialect.name]

    @translates_errors
    def sessions_to_check(self, livemode: bool, now: int, limit: int) -> list[SessionKey]:
        """Sessions to ask Stripe about, the longest due first. `now` is in Unix seconds."""
        parameters = {"livemode": livemode, "now": now, "rows": limit}
        with self._reading.connect() as connection:
            found = connection.execute(polling_statements.TO_CHECK, parameters).all()
        return [SessionKey(row.id, row.account, livemode) for row in found]

    @translates_errors
    def overdue(self, livemode: bool, before: int) -> dict[str, int]:
        """How many sessions of each kind were to be asked about before `before`, up to 1,000 each.

        `before` is in Unix seconds.
        """
        parameters = {"livemode": livemode, "before": before, "most": MAX_COUNTED}
        with self._reading.connect() as connection:
            found = connection.execute(polling_statements.OVERDUE, parameters).all()
        return {row.kind: row.sessions for row in found}

    @translates_errors
    def accounts(self, livemode: bool) -> list[str]:
        """The accounts beside our own that the ledger has sessions of, in order."""
        with self._reading.connect() as connection:
            found = connection.execute(
                polling_statements.KNOWN_ACCOUNTS, {"livemode": livemode}
            ).scalars()
            return list(found)

    @translates_errors
    def mark_checked(self, sessions: Sequence[SessionKey], now: int) -> None:
        """Record that Stripe was asked about the sessions, and knew them; in one transaction."""
        if not sessions:
            return
        named: dict[str, list[str]] = {"keys": [], "ids": [key.id for key in sessions]}
        with self._engine.begin() as connection:
            found = self._bulk.read_sessions.read(connection, named)
            known = {session.key: session for session in rows.sessions_of(found)}
            marks = [
                {**statements.this_session(key), "poll_at": next_poll(known[key], now)}
                # In one order, so that two processes cannot deadlock.
                for key in sorted(set(sessions) & known.keys())
            ]
            if marks:
                connection.execute(polling_statements.MARK_CHECKED, marks)

    @translates_errors
    def mark_missing(self, session: SessionKey, now: int) -> None:
        """Record that Stripe does not know the session; it is asked about again, ever more rarely.

        Whatever comes of the session later, an event or an answer, ends this.
        """
        waits = {"now": now, "first": ASK_MISSING_AFTER, "last": ASK_MISSING_UNTIL}
        with self._engine.begin() as connection:
            connection.execute(
                polling_statements.MARK_MISSING, {**statements.this_session(session), **waits}
            )

    @translates_errors
    def mark_unanswered(self, session: SessionKey, now: int) -> None:
        """Record that Stripe was asked and gave no answer; whether it knows the session stays."""
        again = {"poll_at": now + ASK_UNANSWERED_AFTER}
        with self._engine.begin() as connection:
            connection.execute(
                polling_statements.MARK_UNANSWERED, {**statements.this_session(session), **again}
            )

    @translates_errors
    def overdue_redactions(self, now: int) -> int:
        """How many redactions Stripe has not finished within its four days, up to 1,000."""
        with self._reading.connect() as connection:
            given = {"before": now - REDACTION_OVERDUE, "most": MAX_COUNTED}
            return connection.execute(statements.OVERDUE_REDACTIONS, given).scalar_one()
