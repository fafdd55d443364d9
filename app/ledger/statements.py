"""The ledger's statements, built once: building one on each call costs twice its execution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Insert,
    Select,
    Text,
    and_,
    bindparam,
    cast,
    func,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from app.domain.snapshot import SessionKey
from app.ledger.rows import STANDING_FIELDS, TIMELINE_FIELDS
from app.ledger.tables import (
    ORPHANED,
    REDACTABLE,
    REDACTING,
    attempts,
    cursors,
    events,
    notifications,
    sessions,
    standings,
    timeline,
)


def at_most(found: Select[Any]) -> Select[int]:
    """How many rows there are, counted up to `most`: no count takes long."""
    return select(func.count()).select_from(found.limit(bindparam("most")).subquery())


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


SESSIONS_WITH_ATTEMPTS = select(
    sessions,
    attempts.c.attempt,
    attempts.c.at.label("attempt_at"),
    attempts.c.code.label("attempt_code"),
    attempts.c.entered.label("attempt_entered"),
).join_from(
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
    ORPHANED,
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


# What is locked is being changed, and comes in the next round: none waits for the other.
_DUE_FOR_REDACTION = (
    select(sessions.c.id, sessions.c.account, sessions.c.livemode)
    .where(
        REDACTABLE,
        sessions.c.livemode == bindparam("session_livemode"),
        sessions.c.redactable_since <= bindparam("before"),
    )
    .order_by(sessions.c.redactable_since)
    .limit(bindparam("rows"))
    .with_for_update(skip_locked=True)
)
CLAIM_REDACTIONS = (
    update(sessions)
    .where(tuple_(sessions.c.id, sessions.c.account, sessions.c.livemode).in_(_DUE_FOR_REDACTION))
    .values(redaction_claimed=sessions.c.redactable_since)
    .returning(sessions.c.id, sessions.c.account, sessions.c.livemode, sessions.c.redactable_since)
)
REDACTED = select(sessions.c.id, sessions.c.account, sessions.c.livemode).where(
    sessions.c.id.in_(bindparam("ids", expanding=True)), sessions.c.redaction == "redacted"
)
UNCLAIM_REDACTION = update(sessions).where(THIS_SESSION).values(redaction_claimed=None)
MISSING_OF_REFERENCE = select(sessions.c.id).where(
    sessions.c.reference_key == bindparam("key"), sessions.c.missing_since.is_not(None)
)
OVERDUE_REDACTIONS = at_most(
    select(sessions.c.id).where(REDACTING, sessions.c.redaction_since < bindparam("before"))
)
MODES = select(sessions.c.livemode, func.count().label("sessions")).group_by(sessions.c.livemode)
LAST_EVENT = select(func.max(events.c.created))

RECEIVER_STATE = (
    select(
        standings.c.client_reference_id,
        standings.c.purpose,
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
    standings.c.purpose == "",
    standings.c.version > 0,
)
_KEYS = select(
    standings.c.key,
    standings.c.account,
    standings.c.livemode,
    standings.c.client_reference_id,
    standings.c.purpose,
)
EXPIRED_STANDINGS = (
    _KEYS.where(
        standings.c.verified_until.is_not(None), standings.c.verified_until <= bindparam("now")
    )
    .order_by(standings.c.verified_until)
    .limit(bindparam("rows"))
)
NEXT_STANDINGS = (
    _KEYS.where(standings.c.key > bindparam("after"))
    .order_by(standings.c.key)
    .limit(bindparam("rows"))
)
PURPOSES_OF = (
    select(standings.c.purpose)
    .where(
        or_(standings.c.key == bindparam("key"), standings.c.default_key == bindparam("key")),
        standings.c.version > 0,
    )
    .order_by(standings.c.purpose)
)


NEWEST_TIMELINE = (
    select(*(timeline.c[name] for name in TIMELINE_FIELDS))
    .where(timeline.c.reference_key == bindparam("key"))
    .order_by(timeline.c.id.desc())
    .limit(bindparam("lines"))
)

REFERENCE_OF = select(sessions.c.reference, sessions.c.purpose).where(THIS_SESSION)


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
