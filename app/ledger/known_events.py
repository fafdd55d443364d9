"""Which of many events the ledger knows of."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from app.ledger.bulk import Database, Postgres, Query, Sqlite
from app.ledger.tables import events, timeline


@dataclass(frozen=True, slots=True)
class KnownEvents:
    """Statements that take a list, `ids`, and give those of them for which it is so."""

    has_events: Query  # applied
    changed_by: Query  # applied, with a change of a standing
    discarded: Query  # removed by an operator


def _build(database: Database) -> KnownEvents:
    told = select(timeline.c.event_id).where(database.is_in(timeline.c.event_id, "ids"))
    return KnownEvents(
        has_events=database.query(select(events.c.id).where(database.is_in(events.c.id, "ids"))),
        changed_by=database.query(told.where(timeline.c.cause != "discarded")),
        discarded=database.query(told.where(timeline.c.cause == "discarded")),
    )


KNOWN_EVENTS = {"postgresql": _build(Postgres()), "sqlite": _build(Sqlite())}
