"""Counted on from the timeline, as to count all reads all: how users stand, how far they came."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine, bindparam, func, select

from app.ledger import statements, week
from app.ledger.engine import translates_errors
from app.ledger.tables import standings, timeline

CURSOR = "standings_counted"
# Lines of the timeline that one transaction counts.
BATCH_SIZE = 5_000

LOCK_CURSOR = statements.GET_CURSOR.with_for_update()
LAST_LINE = select(func.max(timeline.c.id))
COUNT_CHANGES = (
    select(timeline.c.previous_status, timeline.c.status, standings.c.livemode, func.count())
    .join_from(timeline, standings, timeline.c.reference_key == standings.c.key)
    .where(
        timeline.c.id > bindparam("counted"),
        timeline.c.id <= bindparam("until"),
        timeline.c.previous_status.is_distinct_from(timeline.c.status),
    )
    .group_by(timeline.c.previous_status, timeline.c.status, standings.c.livemode)
)


@dataclass(frozen=True, slots=True)
class StandingCounts:
    """What has been counted, and how far."""

    until: int = 0  # the last line of the timeline that is counted
    # The last line there was at the run before. Lines get their numbers before they are committed:
    # those up to this one are all there by the next run, so that none is missed.
    seen: int = 0
    counts: Counter[tuple[str, bool]] = field(default_factory=Counter)  # by status and livemode

    @classmethod
    def read(cls, connection: Connection, *, lock: bool = False) -> StandingCounts:
        """As the ledger has them; `lock` keeps all others from counting until the commit."""
        statement = LOCK_CURSOR if lock else statements.GET_CURSOR
        text = connection.execute(statement, {"name": CURSOR}).scalar()
        if text is None:
            return cls()
        until, seen, counts = json.loads(text)
        return cls(until, seen, Counter({(status, live): n for status, live, n in counts}))

    def write(self, connection: Connection, now: int) -> None:
        """Have the ledger keep them. `now` is in Unix seconds."""
        counts = [[*of, n] for of, n in sorted(self.counts.items()) if n]
        value = json.dumps([self.until, self.seen, counts])
        upsert = statements.UPSERTS[connection.dialect.name].set_cursor
        connection.execute(upsert, {"name": CURSOR, "value": value, "updated_at": now})


@translates_errors
def count_standings(engine: Engine, now: int) -> bool:
    """Count the next lines of the timeline; False if there are no more to count in this run.

    Runs are some time apart, at least as long as a transaction of ours takes. `now` is in Unix
    seconds. Raises the ledger's errors.
    """
    with engine.begin() as connection:
        known = StandingCounts.read(connection, lock=True)
        until = max(known.until, min(known.seen, known.until + BATCH_SIZE))
        lines = {"counted": known.until, "until": until}
        counts = Counter(known.counts)
        for previous, status, livemode, found in connection.execute(COUNT_CHANGES, lines):
            counts[status, livemode] += found
            if previous is not None:
                counts[previous, livemode] -= found
        goes_on = until < known.seen
        week.count_lines(connection, lines, now, all_of_them=not goes_on)
        seen = known.seen if goes_on else connection.execute(LAST_LINE).scalar() or 0
        StandingCounts(until, seen, counts).write(connection, now)
    return goes_on
