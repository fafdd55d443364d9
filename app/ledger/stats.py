"""The ledger counted, as its metrics tell it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, func, select

from app.ledger import statements
from app.ledger.engine import for_reading, translates_errors
from app.ledger.polling import REDACTION_OVERDUE
from app.ledger.tables import effects, sessions, standings

# Written by the backfill: what Stripe had and neither the ledger nor the queue knew.
MISSED = "events_missed_by_webhook"
COUNTED_EFFECTS = ("pending", "failed")

_STANDINGS = (
    select(standings.c.status, standings.c.livemode, func.count().label("found"))
    .where(standings.c.version > 0)
    .group_by(standings.c.status, standings.c.livemode)
)
_ORPHANS = (
    select(sessions.c.livemode, func.count().label("found"))
    .where(sessions.c.reference_key.is_(None))
    .group_by(sessions.c.livemode)
)
_EFFECTS = (
    select(effects.c.status, func.count().label("found"))
    .where(effects.c.status.in_(COUNTED_EFFECTS))
    .group_by(effects.c.status)
)


@dataclass(frozen=True, slots=True)
class LedgerStats:
    """How many there are of what, at one moment."""

    events: int
    last_event: int | None  # when Stripe made the newest of them, in Unix seconds
    standings: dict[tuple[str, bool], int]  # by status and livemode
    orphans: dict[bool, int]  # by livemode
    effects: dict[str, int]  # pending, failed
    redactions_overdue: int
    events_missed_by_webhook: int


@translates_errors
def read_stats(engine: Engine, now: int) -> LedgerStats:
    """Count everything in one transaction. `now` is in Unix seconds."""
    overdue = {"before": now - REDACTION_OVERDUE}
    with for_reading(engine).connect() as connection:
        effects_found = {row.status: row.found for row in connection.execute(_EFFECTS)}
        orphans_found = {row.livemode: row.found for row in connection.execute(_ORPHANS)}
        return LedgerStats(
            events=connection.execute(statements.COUNT_EVENTS).scalar_one(),
            last_event=connection.execute(statements.LAST_EVENT).scalar(),
            standings={
                (row.status, row.livemode): row.found for row in connection.execute(_STANDINGS)
            },
            orphans={livemode: orphans_found.get(livemode, 0) for livemode in (False, True)},
            effects={status: effects_found.get(status, 0) for status in COUNTED_EFFECTS},
            redactions_overdue=connection.execute(
                statements.OVERDUE_REDACTIONS, overdue
            ).scalar_one(),
            events_missed_by_webhook=int(
                connection.execute(statements.GET_CURSOR, {"name": MISSED}).scalar() or 0
            ),
        )
