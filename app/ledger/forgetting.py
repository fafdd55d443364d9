"""All that the ledger holds of a user: found by the user's key, and removed for good."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, Connection, Engine, bindparam, delete, or_, select, update

from app.domain.session import Session
from app.domain.standing import ReferenceKey
from app.ledger import rows
from app.ledger.apply_statements import APPLY
from app.ledger.counts import LAST_LINE, StandingCounts
from app.ledger.engine import for_reading, translates_errors
from app.ledger.operations import FORGET_IN_OPERATIONS, digest_of_user
from app.ledger.tables import (
    ABOUT_A_USER,
    attempts,
    audit,
    effects,
    notifications,
    sessions,
    standings,
    timeline,
)

KEYS_OF = select(standings.c.key).where(
    or_(standings.c.key == bindparam("key"), standings.c.default_key == bindparam("key"))
)
LOCK_KEYS = KEYS_OF.order_by(standings.c.key).with_for_update()
MISSING_OF = select(sessions.c.id).where(
    sessions.c.reference_key.in_(bindparam("keys", expanding=True)),
    sessions.c.missing_since.is_not(None),
)
_KEYS: BindParameter[Any] = bindparam("keys", expanding=True)
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
# The status of each reference as far as it has been counted is that of its last line.
COUNTED_LINES = (
    select(timeline.c.reference_key, timeline.c.status)
    .where(timeline.c.reference_key.in_(_KEYS), timeline.c.id <= bindparam("until"))
    .where(timeline.c.version > 0)
    .order_by(timeline.c.id)
)
# In the order of their foreign keys. Effects are found by no index: a person asks, once.
FORGET_EFFECTS = delete(effects).where(
    or_(effects.c.reference_key.in_(_KEYS), effects.c.session_id.in_(_IDS))
)
FORGET_NOTIFICATIONS = delete(notifications).where(notifications.c.reference_key.in_(_KEYS))
FORGET_TIMELINE = delete(timeline).where(timeline.c.reference_key.in_(_KEYS))
FORGET_ATTEMPTS = delete(attempts).where(attempts.c.session_id.in_(_IDS))
FORGET_SESSIONS = delete(sessions).where(sessions.c.reference_key.in_(_KEYS))
# The row stays, and says what was done. A reason is free text, which may name the user.
FORGET_IN_AUDIT = (
    update(audit)
    .where(ABOUT_A_USER, audit.c.reference_key.in_(_KEYS))
    .values(reference_key="", reason="")
)
FORGET_STANDINGS = delete(standings).where(standings.c.key.in_(_KEYS))


@dataclass(frozen=True, slots=True)
class Person:
    """What the ledger holds of a user of one account and mode, for every purpose."""

    keys: tuple[str, ...]  # the digests of the references; none if the user was never seen
    sessions: tuple[Session, ...]
    missing: frozenset[str]  # the sessions that Stripe does not know


@translates_errors
def find_person(engine: Engine, reference: ReferenceKey) -> Person:
    """What there is of the user, as of one moment. Raises the ledger's errors."""
    with for_reading(engine).connect() as connection:
        return _find(connection, reference)


@translates_errors
def forget_person(engine: Engine, reference: ReferenceKey, now: int) -> Person:
    """Remove all of the user; returns what there was. Events and the audit stay, and name nobody.

    An event's row tells a second delivery from a first, and what Stripe lists from what has not
    come: without it the user would come back. It goes in its time, like all others. `now` is in
    Unix seconds. Raises the ledger's errors, and then nothing is removed.
    """
    with engine.begin() as connection:
        counted = StandingCounts.read(connection, lock=True)
        connection.execute(LOCK_KEYS, {"key": reference.digest}).all()
        connection.execute(FORGET_IN_OPERATIONS, {"user": digest_of_user(reference.reference)})
        person = _find(connection, reference)
        if not person.keys:
            return person
        lines = {"keys": person.keys, "until": counted.until}
        last = {row[0]: row[1] for row in connection.execute(COUNTED_LINES, lines)}
        keys, ids = {"keys": person.keys}, {"ids": [session.id for session in person.sessions]}
        connection.execute(FORGET_EFFECTS, keys | ids)
        connection.execute(FORGET_NOTIFICATIONS, keys)
        connection.execute(FORGET_TIMELINE, keys)
        connection.execute(FORGET_ATTEMPTS, ids)
        connection.execute(FORGET_SESSIONS, keys)
        connection.execute(FORGET_STANDINGS, keys)
        # Those who have only ever named another purpose have no standing for the default one.
        connection.execute(FORGET_IN_AUDIT, {"keys": [*person.keys, reference.digest]})
        # SQLite gives the number of its last line again, once that is gone.
        newest = connection.execute(LAST_LINE).scalar() or 0
        counts = Counter(counted.counts)
        counts.subtract((status, reference.livemode) for status in last.values())
        StandingCounts(min(counted.until, newest), min(counted.seen, newest), counts).write(
            connection, now
        )
        return person


def _find(connection: Connection, reference: ReferenceKey) -> Person:
    keys = connection.execute(KEYS_OF, {"key": reference.digest}).scalars().all()
    bulk = APPLY[connection.dialect.name]
    found = bulk.read_sessions.read(connection, {"keys": keys, "ids": []})
    missing = connection.execute(MISSING_OF, {"keys": keys}).scalars()
    return Person(tuple(keys), tuple(rows.sessions_of(found)), frozenset(missing))
