"""The statements of `apply`, built once for each kind of database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Table, or_

from app.domain.standing import NO_SESSIONS
from app.ledger.bulk import Bulk, Database, Postgres, Query, Sqlite
from app.ledger.rows import STANDING_FIELDS
from app.ledger.statements import SESSIONS_WITH_ATTEMPTS
from app.ledger.tables import attempts, effects, events, sessions, standings, timeline

SESSION_KEY = ("id", "account", "livemode")
# Columns that every observation changes.
OBSERVED = ("observations", "missing_since")
REFERENCE = ("key", "account", "livemode", "client_reference_id", "purpose", "default_key")
# What the lock on a session tells.
LOCKED = (
    *SESSION_KEY,
    *("status", "observations"),
    *("reference", "reference_source", "reference_as_of", "purpose", "purpose_as_of"),
)
# What stands in the row of a new reference until it is written.
EMPTY = {k: value for k, value in NO_SESSIONS._asdict().items() if value is not None}
# What stands in the row of a new session from when it is locked until it is written.
UNWRITTEN = {
    "created": 0,
    "status": "",
    "as_of": 0,
    "event_id": "",
    "reference_source": 0,
    "reference_as_of": 0,
    "purpose": "",
    "purpose_as_of": 0,
    "since": "{}",
    "observations": 0,
    "updated_at": 0,
}


@dataclass(frozen=True, slots=True)
class ApplyStatements:
    """What one transaction of `apply` executes, in its order."""

    insert_events: Bulk  # gives the ids of those that are new
    insert_sessions: Bulk  # those that are not there yet, with UNWRITTEN
    lock_sessions: Query  # gives key, status ("" is one never seen), observations, reference
    insert_standings: Bulk  # those that are not there yet
    lock_standings: Query  # gives the standings; version 0 is one never seen
    read_sessions: Query  # of the `keys` of references, and by `ids`
    update_sessions: Bulk
    count_observations: Bulk  # of sessions that they have not changed
    insert_attempts: Bulk
    update_standings: Bulk
    insert_timeline: Bulk
    insert_effects: Bulk  # gives the ids of those that are new


def _build(database: Database) -> ApplyStatements:
    insert_attempts = database.insert(attempts, _names(attempts))
    return ApplyStatements(
        insert_events=database.insert_new(events, _names(events)),
        insert_sessions=database.insert_missing(sessions, SESSION_KEY, (), **UNWRITTEN),
        lock_sessions=database.lock(sessions, SESSION_KEY, _columns(sessions, LOCKED)),
        insert_standings=database.insert_missing(
            standings, ["key"], (*REFERENCE[1:], "updated_at"), **EMPTY
        ),
        lock_standings=database.lock(
            standings, ["key"], _columns(standings, ("key", *STANDING_FIELDS))
        ),
        read_sessions=database.query(
            SESSIONS_WITH_ATTEMPTS.where(
                or_(
                    database.is_in(sessions.c.reference_key, "keys"),
                    database.is_in(sessions.c.id, "ids"),
                )
            )
        ),
        update_sessions=database.update(
            sessions, SESSION_KEY, _names(sessions, *SESSION_KEY, "redaction_claimed")
        ),
        count_observations=database.update(sessions, SESSION_KEY, OBSERVED),
        insert_attempts=database.bulk(
            insert_attempts.on_conflict_do_update(
                index_elements=[*attempts.primary_key],
                set_={name: insert_attempts.excluded[name] for name in ("at", "code", "entered")},
            )
        ),
        update_standings=database.update(standings, ["key"], _names(standings, *REFERENCE)),
        insert_timeline=database.bulk(database.insert(timeline, _names(timeline, "id"))),
        insert_effects=database.insert_new(effects, _names(effects, "enqueued_at")),
    )


def _columns(table: Table, names: Sequence[str]) -> list[Column[Any]]:
    return [table.c[name] for name in names]


def _names(table: Table, *left_out: str) -> list[str]:
    return [c.name for c in table.c if c.name not in left_out]


APPLY = {"postgresql": _build(Postgres()), "sqlite": _build(Sqlite())}
