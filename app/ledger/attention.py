"""What the ledger has for whoever is on call: the newest changes, and what needs a person."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Engine, bindparam, select

from app.domain.reconcile import TimelineLine
from app.domain.snapshot import SessionKey
from app.domain.standing import ReferenceKey
from app.ledger import rows, week
from app.ledger.engine import for_reading, translates_errors
from app.ledger.rows import TIMELINE_FIELDS
from app.ledger.stats import COUNT_ORPHANS, MAX_COUNTED
from app.ledger.tables import POLLED, REDACTING, sessions, standings, timeline

# Of no line. Without a bound on it, SQLite would call reading the newest lines a scan.
LAST_LINE = 2**62
LATEST_CHANGES = (
    select(
        *(timeline.c[name] for name in TIMELINE_FIELDS),
        timeline.c.id,
        *(standings.c[name] for name in ("account", "livemode", "client_reference_id", "purpose")),
    )
    .join_from(timeline, standings, timeline.c.reference_key == standings.c.key, isouter=True)
    .where(timeline.c.id <= bindparam("until"))
    .order_by(timeline.c.id.desc())
    .limit(bindparam("rows"))
)
_KEYS = (sessions.c.id, sessions.c.account, sessions.c.livemode, sessions.c.reference_key)
MISSING_SESSIONS = (
    select(*_KEYS, sessions.c.missing_since.label("since"))
    .where(POLLED["missing"], sessions.c.livemode == bindparam("livemode"))
    .order_by(sessions.c.poll_at)
    .limit(bindparam("rows"))
)
OVERDUE_SESSIONS = (
    select(*_KEYS, sessions.c.redaction_since.label("since"))
    .where(REDACTING, sessions.c.redaction_since < bindparam("before"))
    .order_by(sessions.c.redaction_since)
    .limit(bindparam("rows"))
)


class LatestChange(NamedTuple):
    """A line of the timeline, and whose it is."""

    id: int
    reference: ReferenceKey | None  # None: the discarded letter of an orphan
    line: TimelineLine


class FoundSession(NamedTuple):
    """A session that somebody has to look at, since when, and whose it is."""

    key: SessionKey
    reference_key: str | None
    since: int  # Unix seconds


class Attention:
    """The part of the ledger that tells what to look at. Errors are those of `Ledger`."""

    def __init__(self, engine: Engine) -> None:
        """`engine` comes from `open_engine`, and may be shared with a `Ledger`."""
        self._engine = engine
        self._reading = for_reading(engine)

    @translates_errors
    def latest_changes(self, limit: int) -> list[LatestChange]:
        """The newest lines of all timelines, the newest first."""
        with self._reading.connect() as connection:
            found = connection.execute(LATEST_CHANGES, {"rows": limit, "until": LAST_LINE}).all()
        return [
            LatestChange(
                row.id,
                None if row.client_reference_id is None else rows.reference_key_of(row),
                rows.timeline_line_of(row),
            )
            for row in found
        ]

    @translates_errors
    def to_review(self, livemode: bool) -> list[ReferenceKey]:
        """The references of a mode whose next step is a person's `review`, some minutes ago.

        At most 1,000, the newest first.
        """
        with self._reading.connect() as connection:
            keys = week.Counted.read(connection).review
            found = connection.execute(week.STILL_TO_REVIEW, {"keys": list(keys)}).all()
        by_key = {row.key: rows.reference_key_of(row) for row in found}
        references = [by_key[key] for key in keys if key in by_key]
        return [reference for reference in references if reference.livemode == livemode]

    @translates_errors
    def orphans(self, livemode: bool) -> int:
        """How many sessions of a mode name no reference, up to 1,000."""
        with self._reading.connect() as connection:
            given = {"livemode": livemode, "most": MAX_COUNTED}
            return connection.execute(COUNT_ORPHANS, given).scalar_one()

    @translates_errors
    def missing(self, livemode: bool, limit: int) -> list[FoundSession]:
        """Sessions of a mode that Stripe does not know, and is still asked about."""
        with self._reading.connect() as connection:
            given = {"livemode": livemode, "rows": limit}
            return [_found(row) for row in connection.execute(MISSING_SESSIONS, given)]

    @translates_errors
    def overdue_redactions(self, before: int, limit: int) -> list[FoundSession]:
        """Sessions of both modes whose redaction is under way since before `before`: Unix seconds.

        The longest first.
        """
        with self._reading.connect() as connection:
            given = {"before": before, "rows": limit}
            return [_found(row) for row in connection.execute(OVERDUE_SESSIONS, given)]


def _found(row: Any) -> FoundSession:
    return FoundSession(SessionKey(row.id, row.account, row.livemode), row.reference_key, row.since)
