"""What an id alone leads to, in whatever account and mode; and a long timeline, part by part."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Engine, bindparam, select

from app.domain.reconcile import TimelineLine
from app.domain.snapshot import SessionKey
from app.domain.standing import ReferenceKey
from app.ledger import rows
from app.ledger.engine import for_reading, translates_errors
from app.ledger.rows import TIMELINE_FIELDS
from app.ledger.statements import THIS_SESSION, this_session
from app.ledger.tables import events, sessions, standings, timeline

# Accounts and modes that have the same id: two modes at most, and rarely more than one account.
MAX_FOUND = 20
AFTER_ALL = 2**62  # greater than the number of any line

EVENT = select(
    events.c.name,
    events.c.created,
    events.c.applied_at,
    events.c.session_id,
    events.c.account,
    events.c.livemode,
).where(events.c.id == bindparam("id"))
SESSIONS_OF_ID = (
    select(
        sessions.c.id,
        sessions.c.account,
        sessions.c.livemode,
        sessions.c.status,
        sessions.c.reference,
        sessions.c.purpose,
    )
    .where(sessions.c.id == bindparam("id"))
    .limit(MAX_FOUND)
)
MISSING_SINCE = select(sessions.c.missing_since).where(THIS_SESSION)
STANDINGS_OF = (
    select(
        standings.c.account,
        standings.c.livemode,
        standings.c.client_reference_id,
        standings.c.purpose,
        standings.c.status,
    )
    .where(standings.c.client_reference_id == bindparam("reference"), standings.c.version > 0)
    .limit(MAX_FOUND)
)
TIMELINE_BEFORE = (
    select(timeline.c.id, *(timeline.c[name] for name in TIMELINE_FIELDS))
    .where(timeline.c.reference_key == bindparam("key"), timeline.c.id < bindparam("before"))
    .order_by(timeline.c.id.desc())
    .limit(bindparam("rows"))
)


class AppliedEvent(NamedTuple):
    """An event that the ledger has. Times are Unix seconds."""

    name: str  # the last part of its type
    created: int
    applied_at: int
    session: SessionKey


class FoundSession(NamedTuple):
    """A session, and whom it counts for; an orphan counts for nobody."""

    key: SessionKey
    status: str
    reference: ReferenceKey | None


class FoundReference(NamedTuple):
    """A reference, and the status of its standing."""

    key: ReferenceKey
    status: str


class NumberedLine(NamedTuple):
    """A line of a timeline, with the number by which the lines before it are asked for."""

    number: int
    line: TimelineLine


class LookUps:
    """The part of the ledger that finds by an id alone. Errors are those of `Ledger`."""

    def __init__(self, engine: Engine) -> None:
        """`engine` comes from `open_engine`, and may be shared with a `Ledger`."""
        self._engine = engine
        self._reading = for_reading(engine)

    @translates_errors
    def event(self, id: str) -> AppliedEvent | None:
        """The event, if it has been applied."""
        with self._reading.connect() as connection:
            row = connection.execute(EVENT, {"id": id}).first()
        if row is None:
            return None
        session = SessionKey(row.session_id, row.account, row.livemode)
        return AppliedEvent(row.name, row.created, row.applied_at, session)

    @translates_errors
    def sessions(self, id: str) -> list[FoundSession]:
        """The session of this id in each account and mode that has one."""
        with self._reading.connect() as connection:
            found = connection.execute(SESSIONS_OF_ID, {"id": id}).all()
        return [
            FoundSession(
                SessionKey(row.id, row.account, row.livemode),
                row.status,
                None
                if row.reference is None
                else ReferenceKey(row.account, row.livemode, row.reference, row.purpose),
            )
            for row in found
        ]

    @translates_errors
    def is_missing(self, session: SessionKey) -> bool:
        """Whether Stripe did not know the session when it was asked last."""
        with self._reading.connect() as connection:
            return connection.execute(MISSING_SINCE, this_session(session)).scalar() is not None

    @translates_errors
    def references(self, reference: str) -> list[FoundReference]:
        """The reference in each account and mode, and for each purpose, that it stands in."""
        with self._reading.connect() as connection:
            found = connection.execute(STANDINGS_OF, {"reference": reference}).all()
        return [FoundReference(rows.reference_key_of(row), row.status) for row in found]

    @translates_errors
    def timeline(self, key: ReferenceKey, *, before: int | None, limit: int) -> list[NumberedLine]:
        """The newest `limit` lines, newest first, of those before the line of number `before`."""
        given = {
            "key": key.digest,
            "before": AFTER_ALL if before is None else before,
            "rows": limit,
        }
        with self._reading.connect() as connection:
            found = connection.execute(TIMELINE_BEFORE, given).all()
        return [NumberedLine(row.id, rows.timeline_line_of(row)) for row in found]
