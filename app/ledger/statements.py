"""The ledger's statements, built once: building one on each call costs twice its execution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Insert,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    cast,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from app.domain.snapshot import SessionKey
from app.ledger.rows import EFFECT_FIELDS, STANDING_FIELDS, TIMELINE_FIELDS
from app.ledger.tables import (
    OPEN,
    PROCESSING,
    REDACTING,
    attempts,
    cursors,
    effects,
    events,
    notifications,
    sessions,
    standings,
    timeline,
)

THIS_SESSION = and_(
    sessions.c.id == bindparam("session_id"),
    sessions.c.account == bindparam("session_account"),
    sessions.c.livemode == bindparam("session_livemode"),
)


def this_session(key: SessionKey) -> dict[str, str | bool]:
    """The parameters that name a session in the statements below."""
    return {
        "session_id": key.id,
        "session_account": key.account,
        "session_livemode": key.livemode,
    }


SESSIONS_WITH_ATTEMPTS = select(sessions, attempts.c.attempt).join_from(
    sessions,
    attempts,
    and_(
        attempts.c.session_id == sessions.c.id,
        attempts.c.account == sessions.c.account,
        attempts.c.livemode == sessions.c.livemode,
    ),
    isouter=True,
)

READ_SESSIONS = SESSIONS_WITH_ATTEMPTS.where(sessions.c.reference_key == bindparam("key"))

READ_SESSION = SESSIONS_WITH_ATTEMPTS.where(THIS_SESSION)
IS_ORPHAN = and_(
    sessions.c.reference_key.is_(None),
    sessions.c.livemode == bindparam("livemode"),
)
# The limit counts sessions: joined to their attempts, the last one would be cut.
ORPHANS = SESSIONS_WITH_ATTEMPTS.where(
    IS_ORPHAN,
    sessions.c.id.in_(
        select(sessions.c.id)
        .where(IS_ORPHAN, sessions.c.id > bindparam("after"))
        .order_by(sessions.c.id)
        .limit(bindparam("rows"))
    ),
).order_by(sessions.c.id)


def _due(rank: int, *conditions: ColumnElement[bool]) -> Select[str, str, int, int]:
    """The first sessions to ask about of one kind, by the index that its `conditions` name."""
    first = (
        select(
            sessions.c.id,
            sessions.c.account,
            sessions.c.checked_at,
            literal(rank, Integer).label("rank"),
        )
        .where(
            sessions.c.livemode == bindparam("livemode"),
            sessions.c.missing_since.is_(None),
            *conditions,
        )
        .order_by(sessions.c.checked_at, sessions.c.id)
        .limit(bindparam("rows"))
        .subquery()
    )
    return select(first.c.id, first.c.account, first.c.checked_at, first.c.rank)


# What Stripe should be asked about: first what somebody waits for. A session that Stripe does not
# know is not asked about again.
_CANDIDATES = union_all(
    _due(
        0,
        PROCESSING,
        sessions.c.as_of < bindparam("overdue"),
        sessions.c.checked_at < bindparam("soon"),
    ),
    _due(1, REDACTING, sessions.c.checked_at < bindparam("hourly")),
    _due(
        2,
        OPEN,
        not_(func.coalesce(REDACTING, false())),
        sessions.c.as_of < bindparam("daily"),
        sessions.c.checked_at < bindparam("daily"),
    ),
).subquery()
TO_CHECK = (
    select(_CANDIDATES.c.id, _CANDIDATES.c.account)
    .order_by(_CANDIDATES.c.rank, _CANDIDATES.c.checked_at, _CANDIDATES.c.id)
    .limit(bindparam("rows"))
)
MARK_CHECKED = (
    update(sessions).where(THIS_SESSION).values(checked_at=bindparam("now"), missing_since=None)
)
MARK_MISSING = (
    update(sessions)
    .where(THIS_SESSION)
    .values(checked_at=bindparam("now"), missing_since=bindparam("now"))
)
MISSING_OF_REFERENCE = select(sessions.c.id).where(
    sessions.c.reference_key == bindparam("key"), sessions.c.missing_since.is_not(None)
)
OVERDUE_REDACTIONS = select(func.count()).where(
    REDACTING,
    sessions.c.redaction_since < bindparam("before"),
)
MODES = select(sessions.c.livemode, func.count().label("sessions")).group_by(sessions.c.livemode)
LAST_EVENT = select(func.max(events.c.created))

RECEIVER_STATE = (
    select(
        *(standings.c[name] for name in STANDING_FIELDS),
        notifications.c.version.label("known_version"),
        notifications.c.status.label("known_status"),
    )
    .join_from(
        standings,
        notifications,
        and_(
            notifications.c.reference_key == standings.c.key,
            notifications.c.receiver == bindparam("receiver"),
        ),
        isouter=True,
    )
    .where(standings.c.key == bindparam("key"))
)
GET_CURSOR = select(cursors.c.value).where(cursors.c.name == bindparam("name"))


READ_STANDING = select(standings).where(standings.c.key == bindparam("key"))
READ_STANDINGS = select(standings).where(standings.c.key.in_(bindparam("keys", expanding=True)))

ALL_STANDINGS = select(
    standings.c.client_reference_id, *(standings.c[name] for name in STANDING_FIELDS)
).where(
    standings.c.account == bindparam("account"),
    standings.c.livemode == bindparam("livemode"),
    standings.c.version > 0,
)


NEWEST_TIMELINE = (
    select(*(timeline.c[name] for name in TIMELINE_FIELDS))
    .where(timeline.c.reference_key == bindparam("key"))
    .order_by(timeline.c.id.desc())
    .limit(bindparam("lines"))
)

COUNT_EVENTS = select(func.count()).select_from(events)
HAS_EVENTS = select(events.c.id).where(events.c.id.in_(bindparam("ids", expanding=True)))
CHANGED_BY = select(timeline.c.event_id).where(
    timeline.c.event_id.in_(bindparam("ids", expanding=True)), timeline.c.cause != "discarded"
)
DISCARDED = select(timeline.c.event_id).where(
    timeline.c.event_id.in_(bindparam("ids", expanding=True)), timeline.c.cause == "discarded"
)
REFERENCE_OF = select(sessions.c.reference).where(THIS_SESSION)

UNSENT_EFFECTS = (
    select(*(effects.c[name] for name in EFFECT_FIELDS))
    .where(
        effects.c.status == "pending",
        or_(
            and_(effects.c.enqueued_at.is_(None), effects.c.created_at < bindparam("before")),
            and_(
                effects.c.due < bindparam("overdue"), effects.c.enqueued_at < bindparam("overdue")
            ),
        ),
    )
    .order_by(effects.c.created_at, effects.c.id)
    .limit(bindparam("rows"))
)
EFFECT_STATUS = select(effects.c.status).where(effects.c.id == bindparam("id"))
MARK_EFFECT = update(effects).where(effects.c.id == bindparam("effect_id"))
FORGET_ENQUEUED = (
    update(effects)
    .where(effects.c.status == "pending", effects.c.enqueued_at.is_not(None))
    .values(enqueued_at=None)
)
# Locked in one order, so that two processes that mark the same effects cannot deadlock.
MARK_ENQUEUED = update(effects).where(
    effects.c.id.in_(
        select(effects.c.id)
        .where(effects.c.id.in_(bindparam("ids", expanding=True)))
        .order_by(effects.c.id)
        .with_for_update()
    )
)


@dataclass(frozen=True, slots=True)
class Upserts:
    """The statements that the two databases spell alike, but SQLAlchemy keeps apart."""

    set_cursor: Insert
    add_to_cursor: Insert
    record_sent: Insert  # does nothing if the receiver knows more


def _upserts(into: Callable[..., Any]) -> Upserts:
    cursor = into(cursors)
    sent = into(notifications)
    total = cast(cast(cursors.c.value, BigInteger) + cast(cursor.excluded.value, BigInteger), Text)
    return Upserts(
        set_cursor=cursor.on_conflict_do_update(
            index_elements=["name"],
            set_={"value": cursor.excluded.value, "updated_at": cursor.excluded.updated_at},
        ),
        add_to_cursor=cursor.on_conflict_do_update(
            index_elements=["name"],
            set_={"value": total, "updated_at": cursor.excluded.updated_at},
        ),
        record_sent=sent.on_conflict_do_update(
            index_elements=["reference_key", "receiver"],
            set_={name: sent.excluded[name] for name in ("version", "status", "updated_at")},
            where=notifications.c.version < sent.excluded.version,
        ),
    )


UPSERTS = {"sqlite": _upserts(sqlite.insert), "postgresql": _upserts(postgresql.insert)}
