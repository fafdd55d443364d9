"""Which sessions REDACT_AFTER_DAYS is over for, under today's setting."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Engine

from app.domain.effects import REDACT_DUE, PendingEffect
from app.domain.snapshot import SessionKey
from app.ledger import apply, statements
from app.ledger.apply_statements import APPLY
from app.ledger.engine import for_reading, translates_errors
from app.ledger.loading import Transaction


class Redactions:
    """The part of the ledger that has sessions redacted in time. Errors are those of `Ledger`."""

    def __init__(self, engine: Engine) -> None:
        """`engine` comes from `open_engine`, and may be shared with a `Ledger`."""
        self._engine = engine
        self._reading = for_reading(engine)
        self._bulk = APPLY[engine.dialect.name]

    @translates_errors
    def claim_due(
        self, *, livemode: bool, before: int, limit: int, now: int
    ) -> list[PendingEffect]:
        """Write the redactions of sessions that could be redacted since `before`, oldest first.

        A session is claimed with its effect in one commit, so it is asked for once for each time
        from which it counts. Times are Unix seconds.
        """
        due = {"session_livemode": livemode, "before": before, "rows": limit}
        with self._engine.begin() as connection:
            claimed = connection.execute(statements.CLAIM_REDACTIONS, due).all()
            effects = [
                PendingEffect.on_session(
                    REDACT_DUE,
                    SessionKey(row.id, row.account, row.livemode),
                    occasion=f"{row.redactable_since}-{now}",
                    now=now,
                )
                for row in claimed
            ]
            apply.insert_effects(Transaction(connection, self._bulk, now), effects)
        return effects

    @translates_errors
    def done(self, sessions: Sequence[SessionKey]) -> set[SessionKey]:
        """Those of the sessions that are redacted."""
        if not sessions:
            return set()
        with self._reading.connect() as connection:
            found = connection.execute(
                statements.REDACTED, {"ids": [session.id for session in sessions]}
            ).all()
        return {SessionKey(*row) for row in found} & set(sessions)

    @translates_errors
    def unclaim(self, session: SessionKey) -> None:
        """Have a session claimed again once it is due: it was not, or not any more."""
        with self._engine.begin() as connection:
            connection.execute(statements.UNCLAIM_REDACTION, statements.this_session(session))
