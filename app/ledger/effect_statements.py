"""Effects: which the queue should hold, and what has become of them; built once."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    bindparam,
    literal,
    select,
    union_all,
    update,
)

from app.ledger.rows import EFFECT_FIELDS
from app.ledger.tables import ENQUEUED, FAILED, UNSENT, effects


def _not_in_the_queue(
    rank: int, first: ColumnElement[int], *which: ColumnElement[Any]
) -> Select[Any]:
    """The first pending effects of one kind, by an index that holds no others."""
    pending = (
        select(*(effects.c[name] for name in EFFECT_FIELDS), literal(rank, Integer).label("rank"))
        .where(*which)
        .order_by(first)
        .limit(bindparam("rows"))
        .subquery()
    )
    return select(pending)


_UNSENT = union_all(
    _not_in_the_queue(
        0,
        effects.c.due,
        UNSENT,
        effects.c.due < bindparam("horizon"),
        effects.c.created_at < bindparam("before"),
    ),
    _not_in_the_queue(
        1,
        effects.c.enqueued_at,
        ENQUEUED,
        effects.c.enqueued_at < bindparam("overdue"),
        effects.c.due < bindparam("overdue"),
    ),
).subquery()
UNSENT_EFFECTS = (
    select(*(_UNSENT.c[name] for name in EFFECT_FIELDS))
    .order_by(_UNSENT.c.rank, _UNSENT.c.due, _UNSENT.c.id)
    .limit(bindparam("rows"))
)
EFFECT_STATUS = select(effects.c.status).where(effects.c.id == bindparam("id"))
FORGET_ENQUEUED = update(effects).where(ENQUEUED).values(enqueued_at=None)
FORGET_FAILED = update(effects).where(FAILED).values(status="pending", enqueued_at=None)
# Locked in one order, so that two processes that mark the same effects cannot deadlock.
_THESE = effects.c.id.in_(
    select(effects.c.id)
    .where(effects.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(effects.c.id)
    .with_for_update()
)
MARK_ENQUEUED = update(effects).where(_THESE)
MARK_ENDED = update(effects).where(_THESE)
# Only what still waits dies, and only what is dead is replayed: what has ended meanwhile has ended.
MARK_FAILED = (
    update(effects)
    .where(_THESE, effects.c.status == "pending")
    .values(status="failed", updated_at=bindparam("now"))
)
MARK_REPLAYED = (
    update(effects)
    .where(_THESE, effects.c.status == "failed")
    .values(status="pending", updated_at=bindparam("now"))
)
