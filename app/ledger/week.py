"""How far users came in the last week, hour by hour, and who may have to be reviewed.

Counted on from the timeline together with the standings (`counts.py`), as to count all reads all.
The hours are a ring of named values: each is written anew a week later, so none has to be removed.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine, bindparam, func, literal_column, select

from app.domain.durations import HOUR
from app.domain.funnel import Change, steps_of
from app.ledger import statements
from app.ledger.engine import for_reading, translates_errors
from app.ledger.tables import cursors, standings, timeline

CURSOR = "week_counted"
HOURS_OF_DAY, HOURS_OF_WEEK = 24, 7 * 24
RING = 8 * 24
# References that may have to be reviewed: how many more there are helps nobody.
MAX_REVIEWED = 1_000

# In the text, as PostgreSQL takes two parameters for two expressions, though their value be one.
_HOUR = timeline.c.as_of.op("/")(literal_column(str(HOUR)))
_LINES = (
    timeline.c.id > bindparam("counted"),
    timeline.c.id <= bindparam("until"),
    timeline.c.cause != "discarded",
)
COUNT_STEPS = (
    select(
        _HOUR.label("hour"),
        standings.c.livemode,
        timeline.c.previous_status,
        timeline.c.status,
        timeline.c.last_error_code,
        timeline.c.cause,
        timeline.c.event_id.is_not(None).label("by_event"),
        func.count().label("changes"),
    )
    .join_from(timeline, standings, timeline.c.reference_key == standings.c.key)
    .where(*_LINES, timeline.c.as_of >= bindparam("since"))
    .group_by(
        _HOUR,
        standings.c.livemode,
        timeline.c.previous_status,
        timeline.c.status,
        timeline.c.last_error_code,
        timeline.c.cause,
        timeline.c.event_id.is_not(None),
    )
)
FIRST_TO_REVIEW = (
    select(timeline.c.reference_key)
    .where(*_LINES, timeline.c.next_step == "review", timeline.c.reference_key.is_not(None))
    .order_by(timeline.c.id.desc())
    .limit(bindparam("rows"))
)
STILL_TO_REVIEW = select(standings).where(
    standings.c.key.in_(bindparam("keys", expanding=True)), standings.c.next_step == "review"
)
READ_HOURS = select(cursors.c.value).where(cursors.c.name.in_(bindparam("names", expanding=True)))

Steps = Counter[tuple[bool, str]]  # by livemode and step


@dataclass(frozen=True, slots=True)
class Counted:
    """How far was counted. Unix seconds."""

    since: int = 0  # 0: from the ledger's beginning
    until: int | None = None  # all that was written before; None: nothing yet
    seen: int | None = None  # when the last line there was had been looked for
    review: tuple[str, ...] = ()  # keys of references to be reviewed once, the newest first

    @classmethod
    def read(cls, connection: Connection) -> Counted:
        """As the ledger has it."""
        text = connection.execute(statements.GET_CURSOR, {"name": CURSOR}).scalar()
        if text is None:
            return cls()
        since, until, seen, review = json.loads(text)
        return cls(since, until, seen, tuple(review))


@dataclass(frozen=True, slots=True)
class Week:
    """The steps of the last day and week of one mode, and between when they were counted."""

    since: int = 0
    until: int | None = None
    day: Counter[str] = field(default_factory=Counter)
    week: Counter[str] = field(default_factory=Counter)


def count_lines(
    connection: Connection, lines: Mapping[str, int], now: int, *, all_of_them: bool
) -> None:
    """Count the timeline's lines from `counted` to `until`, in the caller's transaction.

    `all_of_them`: these are the last of those that the run before has seen. `now` is in Unix
    seconds.
    """
    known = Counted.read(connection)
    # Standings may have been counted by an earlier release, which counted no hours.
    since = now if known.seen is None and lines["counted"] else known.since
    _add_steps(connection, lines, now)
    given = {**lines, "rows": MAX_REVIEWED}
    found = connection.execute(FIRST_TO_REVIEW, given).scalars()
    keys = list(dict.fromkeys([*found, *known.review]))[:MAX_REVIEWED]
    still = {row.key for row in connection.execute(STILL_TO_REVIEW, {"keys": keys})}
    review = [key for key in keys if key in still]
    until, seen = (known.seen, now) if all_of_them else (known.until, known.seen)
    _write(connection, CURSOR, [since, until, seen, review], now)


def _add_steps(connection: Connection, lines: Mapping[str, int], now: int) -> None:
    since = (now // HOUR - HOURS_OF_WEEK) * HOUR
    added: dict[int, Steps] = defaultdict(Counter)
    for row in connection.execute(COUNT_STEPS, {**lines, "since": since}):
        change = Change(
            row.previous_status, row.status, row.last_error_code, row.cause, row.by_event
        )
        for step in steps_of(change):
            added[row.hour][row.livemode, step] += row.changes
    known = _read_hours(connection, list(added))
    for hour, steps in sorted(added.items()):
        total = known.get(hour, Counter()) + steps
        counts = [[*of, n] for of, n in sorted(total.items())]
        _write(connection, _name(hour), [hour, counts], now)


def _read_hours(connection: Connection, hours: list[int]) -> dict[int, Steps]:
    """Those of the hours that were counted; a name may still hold one of the week before."""
    found = {}
    names = [_name(hour) for hour in hours]
    for text in connection.execute(READ_HOURS, {"names": names}).scalars():
        hour, counts = json.loads(text)
        found[hour] = Counter({(livemode, step): n for livemode, step, n in counts})
    return {hour: found[hour] for hour in hours if hour in found}


def _name(hour: int) -> str:
    return f"week_{hour % RING:03}"


def _write(connection: Connection, name: str, value: object, now: int) -> None:
    upsert = statements.UPSERTS[connection.dialect.name].set_cursor
    connection.execute(upsert, {"name": name, "value": json.dumps(value), "updated_at": now})


@translates_errors
def read_week(engine: Engine, livemode: bool, now: int) -> Week:
    """The steps of the last 24 hours and 7 days, by whole hours, the one under way among them.

    `now` is in Unix seconds. Raises the ledger's errors.
    """
    last = now // HOUR
    hours = range(last - HOURS_OF_WEEK + 1, last + 1)
    with for_reading(engine).connect() as connection:
        counted = Counted.read(connection)
        found = _read_hours(connection, list(hours))
    week = Week(counted.since, counted.until)
    for hour, steps in found.items():
        for (live, step), n in steps.items():
            if live == livemode:
                week.week[step] += n
                if hour > last - HOURS_OF_DAY:
                    week.day[step] += n
    return week
