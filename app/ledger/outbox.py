"""The effects that are not done, as people look at them: counted by kind, and listed by page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from sqlalchemy import ColumnElement, Engine, Select, bindparam, case, func, or_, select

from app.ledger.engine import for_reading, translates_errors
from app.ledger.tables import ENQUEUED, FAILED, UNSENT, effects

# Of each state: a count that says more helps nobody, and takes long.
MAX_COUNTED = 1_000

State = Literal["waiting", "queued", "dead"]


class OpenEffect(NamedTuple):
    """An effect that is not done. Times are Unix seconds."""

    id: str
    kind: str
    account: str
    livemode: bool
    session_id: str
    version: int | None  # of the standing that is told
    due: int
    created_at: int
    enqueued_at: int | None  # None: the queue does not have it yet
    updated_at: int


class EffectPlace(NamedTuple):
    """Where an effect stands in the list of its state: what comes after it is asked for by this."""

    at: int
    id: str


@dataclass(frozen=True, slots=True)
class EffectCount:
    """The effects of one kind in one state."""

    state: State
    kind: str
    count: int
    due: int  # how many of them should have been done by now
    complete: bool  # False: the state has more than MAX_COUNTED, of which these are some


def _count(which: ColumnElement[Any], order: ColumnElement[Any]) -> Select[Any]:
    first = (
        select(effects.c.kind, effects.c.due)
        .where(which)
        .order_by(order)
        .limit(bindparam("most"))
        .subquery()
    )
    due = func.sum(case((first.c.due <= bindparam("now"), 1), else_=0))
    return (
        select(first.c.kind, func.count().label("number"), due.label("due"))
        .group_by(first.c.kind)
        .order_by(func.count().desc(), first.c.kind)
    )


def _page(which: ColumnElement[Any], order: ColumnElement[Any]) -> Select[Any]:
    at: ColumnElement[Any] = bindparam("from_second")
    return (
        select(order.label("at"), *(effects.c[name] for name in OpenEffect._fields))
        # The first is what the index goes by, the second parts what is of one second.
        .where(which, order >= at, or_(order > at, effects.c.id > bindparam("after")))
        .order_by(order, effects.c.id)
        .limit(bindparam("rows"))
    )


COUNT_WAITING = _count(UNSENT, effects.c.due)
COUNT_QUEUED = _count(ENQUEUED, effects.c.enqueued_at)
COUNT_DEAD = _count(FAILED, effects.c.updated_at)
WAITING_EFFECTS = _page(UNSENT, effects.c.due)
QUEUED_EFFECTS = _page(ENQUEUED, effects.c.enqueued_at)
DEAD_EFFECTS = _page(FAILED, effects.c.updated_at)

COUNTS: Mapping[State, Select[Any]] = {
    "waiting": COUNT_WAITING,
    "queued": COUNT_QUEUED,
    "dead": COUNT_DEAD,
}
PAGES: Mapping[State, Select[Any]] = {
    "waiting": WAITING_EFFECTS,
    "queued": QUEUED_EFFECTS,
    "dead": DEAD_EFFECTS,
}


@translates_errors
def count_effects(engine: Engine, now: int) -> list[EffectCount]:
    """How many effects of each kind are in each state, at one moment. `now` is in Unix seconds."""
    found = []
    with for_reading(engine).connect() as connection:
        for state, statement in COUNTS.items():
            rows = connection.execute(statement, {"most": MAX_COUNTED + 1, "now": now}).all()
            complete = sum(row.number for row in rows) <= MAX_COUNTED
            found += [EffectCount(state, row.kind, row.number, row.due, complete) for row in rows]
    return found


@translates_errors
def list_effects(
    engine: Engine, state: State, after: EffectPlace | None, limit: int
) -> tuple[list[OpenEffect], EffectPlace | None]:
    """The next effects of a state, oldest first, and where the next page begins; None: nowhere.

    What waits is in the order in which it is due.
    """
    place = after or EffectPlace(0, "")
    given = {"from_second": place.at, "after": place.id, "rows": limit + 1}
    with for_reading(engine).connect() as connection:
        rows = connection.execute(PAGES[state], given).all()
    shown = [OpenEffect(*row[1:]) for row in rows[:limit]]
    if len(rows) <= limit:
        return shown, None
    return shown, EffectPlace(rows[limit - 1].at, rows[limit - 1].id)
