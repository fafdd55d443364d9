"""The ledger's statements, built once: building one on each call costs twice its execution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Insert,
    Text,
    and_,
    bindparam,
    case,
    cast,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from app.domain.snapshot import SessionKey
from app.ledger.rows import EFFECT_FIELDS, STANDING_FIELDS, TIMELINE_FIELDS
from app.ledger.tables import (
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
# The sessions of some references, and others by their ids.
READ_CONCERNED = SESSIONS_WITH_ATTEMPTS.where(
    or_(
        sessions.c.reference_key.in_(bindparam("keys", expanding=True)),
        sessions.c.id.in_(bindparam("ids", expanding=True)),
    )
)
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
# What Stripe should be asked about: processing for too long, being redacted, and, in a slow round,
# open. One that Stripe does not know is not asked about again.
TO_CHECK = (
    select(sessions.c.id, sessions.c.account)
    .where(
        sessions.c.livemode == bindparam("livemode"),
        sessions.c.missing_since.is_(None),
        or_(
            and_(
                sessions.c.status == "processing",
                sessions.c.as_of < bindparam("overdue"),
                sessions.c.checked_at < bindparam("soon"),
            ),
            and_(
                sessions.c.redaction.in_(("validated", "processing")),
                sessions.c.checked_at < bindparam("hourly"),
            ),
            and_(
                sessions.c.status == "requires_input",
                sessions.c.as_of < bindparam("daily"),
                sessions.c.checked_at < bindparam("daily"),
            ),
        ),
    )
    # A long slow round must not keep those waiting for whom somebody waits.
    .order_by(
        case(
            (sessions.c.status == "processing", 0),
            (sessions.c.redaction.is_not(None), 1),
            else_=2,
        ),
        sessions.c.checked_at,
        sessions.c.id,
    )
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
    sessions.c.redaction.in_(("validated", "processing")),
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

UPDATE_SESSION = update(sessions).where(THIS_SESSION)

READ_STANDING = select(standings).where(standings.c.key == bindparam("key"))
READ_STANDINGS = select(standings).where(standings.c.key.in_(bindparam("keys", expanding=True)))
UPDATE_STANDING = update(standings).where(standings.c.key == bindparam("reference_key"))
ALL_STANDINGS = select(
    standings.c.client_reference_id, *(standings.c[name] for name in STANDING_FIELDS)
).where(
    standings.c.account == bindparam("account"),
    standings.c.livemode == bindparam("livemode"),
    standings.c.version > 0,
)

INSERT_TIMELINE = insert(timeline).inline()
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

    insert_event: Insert  # gives the id if the event is new
    lock_session: Insert  # gives the key, the reference, and how many observations were merged
    lock_reference: Insert  # gives the standing; version 0 is one never seen
    insert_attempts: Insert
    insert_effects: Insert  # gives the ids of those that are new
    set_cursor: Insert
    add_to_cursor: Insert
    record_sent: Insert  # does nothing if the receiver knows more


def _upserts(into: Callable[..., Any]) -> Upserts:
    # The updates change no key column: PostgreSQL's lock then lets foreign keys be checked
    # meanwhile. They do change one, as only an updated row is returned.
    session = into(sessions)
    reference = into(standings)
    cursor = into(cursors)
    knows = into(notifications)
    total = cast(cast(cursors.c.value, BigInteger) + cast(cursor.excluded.value, BigInteger), Text)
    return Upserts(
        insert_event=into(events).on_conflict_do_nothing().returning(events.c.id),
        lock_session=session.on_conflict_do_update(
            index_elements=["id", "account", "livemode"],
            set_={"observations": sessions.c.observations + session.excluded.observations},
        ).returning(
            sessions.c.id,
            sessions.c.account,
            sessions.c.livemode,
            sessions.c.observations,
            sessions.c.reference,
            sessions.c.reference_source,
            sessions.c.reference_as_of,
        ),
        lock_reference=reference.on_conflict_do_update(
            index_elements=["key"], set_={"version": standings.c.version}
        ).returning(standings.c.key, *(standings.c[name] for name in STANDING_FIELDS)),
        insert_attempts=into(attempts).on_conflict_do_nothing(),
        set_cursor=cursor.on_conflict_do_update(
            index_elements=["name"],
            set_={"value": cursor.excluded.value, "updated_at": cursor.excluded.updated_at},
        ),
        add_to_cursor=cursor.on_conflict_do_update(
            index_elements=["name"],
            set_={"value": total, "updated_at": cursor.excluded.updated_at},
        ),
        record_sent=knows.on_conflict_do_update(
            index_elements=["reference_key", "receiver"],
            set_={name: knows.excluded[name] for name in ("version", "status", "updated_at")},
            where=notifications.c.version < knows.excluded.version,
        ),
        insert_effects=into(effects).on_conflict_do_nothing().returning(effects.c.id),
    )


UPSERTS = {"sqlite": _upserts(sqlite.insert), "postgresql": _upserts(postgresql.insert)}
