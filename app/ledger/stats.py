"""The ledger counted, as its metrics tell it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, Select, bindparam, select

from app.ledger import statements
from app.ledger.counts import StandingCounts
from app.ledger.engine import for_reading, translates_errors
from app.ledger.polling import REDACTION_OVERDUE
from app.ledger.statements import at_most
from app.ledger.tables import ENQUEUED, FAILED, ORPHANED, UNSENT, effects, sessions

# Written by the backfill: what Stripe had and neither the ledger nor the queue knew.
MISSED = "events_missed_by_webhook"
# Each of the following is counted up to this: a count that says more helps nobody, and takes long.
MAX_COUNTED = 1_000

COUNT_ORPHANS = at_most(
    select(sessions.c.id).where(ORPHANED, sessions.c.livemode == bindparam("livemode"))
)
COUNT_UNSENT = at_most(select(effects.c.due).where(UNSENT))
COUNT_ENQUEUED = at_most(select(effects.c.enqueued_at).where(ENQUEUED))
COUNT_FAILED = at_most(select(effects.c.updated_at).where(FAILED))


@dataclass(frozen=True, slots=True)
class LedgerStats:
    """How many there are of what, at one moment."""

    last_event: int | None  # when Stripe made the newest of them, in Unix seconds
    standings: dict[tuple[str, bool], int]  # by status and livemode
    orphans: dict[bool, int]  # by livemode
    effects: dict[str, int]  # pending, failed
    redactions_overdue: int
    events_missed_by_webhook: int


@translates_errors
def read_stats(engine: Engine, now: int) -> LedgerStats:
    """Read what is counted, in one transaction that is short whatever the ledger's size.

    `now` is in Unix seconds.
    """
    with for_reading(engine).connect() as connection:

        def count(statement: Select[int], **given: object) -> int:
            return connection.execute(statement, {"most": MAX_COUNTED, **given}).scalar_one()

        return LedgerStats(
            last_event=connection.execute(statements.LAST_EVENT).scalar(),
            standings={of: n for of, n in StandingCounts.read(connection).counts.items() if n},
            orphans={live: count(COUNT_ORPHANS, livemode=live) for live in (False, True)},
            effects={
                "pending": min(MAX_COUNTED, count(COUNT_UNSENT) + count(COUNT_ENQUEUED)),
                "failed": count(COUNT_FAILED),
            },
            redactions_overdue=count(statements.OVERDUE_REDACTIONS, before=now - REDACTION_OVERDUE),
            events_missed_by_webhook=int(
                connection.execute(statements.GET_CURSOR, {"name": MISSED}).scalar() or 0
            ),
        )
