"""What is over is let go of: events that Stripe has forgotten, ended effects and operations."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Delete, Engine, Select, bindparam, delete, func, select

from app.domain.durations import DAY
from app.ledger.engine import translates_errors
from app.ledger.operation_table import OVER
from app.ledger.tables import ENDED, effects, events, operations

# Stripe delivers, resends and lists an event for 30 days, counted by its own clock. One that comes
# later still, as from a dead letter, changes nothing a second time: merge sees that it is old news.
KEEP_EVENTS = 35 * DAY
# Long enough to be asked about by the person who reads of it on Monday.
KEEP_ENDED_EFFECTS = 7 * DAY
# What was chosen may name a user, so it does not stay for ever; who did what stays in the audit.
KEEP_OPERATIONS = 35 * DAY
# Rows of each table that one transaction removes.
BATCH_SIZE = 1_000


def _delete(id: Column[str], first: Column[Any], which: Select[str]) -> Delete:
    """Remove the first rows that are meant, by an index."""
    return delete(id.table).where(id.in_(which.order_by(first).limit(bindparam("rows"))))


# The newest event stays, however old: it says since when nothing has come.
PRUNE_EVENTS = _delete(
    events.c.id,
    events.c.created,
    select(events.c.id).where(
        events.c.created < bindparam("before"),
        events.c.created < select(func.max(events.c.created)).scalar_subquery(),
    ),
)
PRUNE_EFFECTS = _delete(
    effects.c.id,
    effects.c.updated_at,
    select(effects.c.id).where(ENDED, effects.c.updated_at < bindparam("before")),
)
PRUNE_OPERATIONS = _delete(
    operations.c.id,
    operations.c.ended_at,
    select(operations.c.id).where(OVER, operations.c.ended_at < bindparam("before")),
)


@translates_errors
def prune(engine: Engine, now: int) -> int:
    """Remove a batch of what is over; returns how many rows. `now` is in Unix seconds.

    Effects that failed stay, as their dead letters do. Raises the ledger's errors.
    """
    with engine.begin() as connection:
        return sum(
            connection.execute(statement, {"before": now - keep, "rows": BATCH_SIZE}).rowcount
            for statement, keep in (
                (PRUNE_EVENTS, KEEP_EVENTS),
                (PRUNE_EFFECTS, KEEP_ENDED_EFFECTS),
                (PRUNE_OPERATIONS, KEEP_OPERATIONS),
            )
        )
