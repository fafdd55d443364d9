"""The statements of `apply`, built once for each kind of database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Executable, Table, or_

from app.domain.standing import NO_SESSIONS
from app.ledger.bulk import Bulk, Database, Postgres, Sqlite
from app.ledger.rows import STANDING_FIELDS
from app.ledger.statements import SESSIONS_WITH_ATTEMPTS
from app.ledger.tables import attempts, effects, events, sessions, standings, timeline

SESSION_KEY = ("id", "account", "livemode")
# Columns that every observation changes.
OBSERVED = ("observations", "missing_since")
REFERENCE = ("key", "account", "livemode", "client_reference_id", "purpose", "default_key")
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
    lock_sessions: Bulk  # gives key, status ("" is one never seen), observations, reference
    lock_standings: Bulk  # gives the standings; version 0 is one never seen
    read_sessions: Executable  # of the `keys` of references, and by `ids`
    pack_list: Callable[[Sequence[str]], Any]  # a list as a parameter
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
        lock_sessions=_lock_sessions(database),
        lock_standings=_lock_standings(database),
        read_sessions=SESSIONS_WITH_ATTEMPTS.where(
            or_(
                database.is_in(sessions.c.reference_key, "keys"),
                database.is_in(sessions.c.id, "ids"),
            )
        ),
        pack_list=database.pack_list,
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


# Where another transaction was first to insert a row, an insert changes a column of it that is no
# key's: only an updated row is returned, and foreign keys can be checked meanwhile.


def _lock_sessions(database: Database) -> Bulk:
    inserted = database.insert(sessions, SESSION_KEY, **UNWRITTEN)
    locked = inserted.on_conflict_do_update(
        index_elements=list(SESSION_KEY), set_={"updated_at": sessions.c.updated_at}
    )
    returned = (
        *SESSION_KEY,
        *("status", "observations"),
        *("reference", "reference_source", "reference_as_of", "purpose", "purpose_as_of"),
    )
    return database.lock(locked, SESSION_KEY, [sessions.c[name] for name in returned])


def _lock_standings(database: Database) -> Bulk:
    names = (*REFERENCE, "updated_at")
    empty = {k: value for k, value in NO_SESSIONS._asdict().items() if value is not None}
    inserted = database.insert(standings, names, **empty)
    locked = inserted.on_conflict_do_update(
        index_elements=["key"], set_={"version": standings.c.version}
    )
    returned = [standings.c.key, *(standings.c[name] for name in STANDING_FIELDS)]
    return database.lock(locked, ["key"], returned)


def _names(table: Table, *left_out: str) -> list[str]:
    return [c.name for c in table.c if c.name not in left_out]


APPLY = {"postgresql": _build(Postgres()), "sqlite": _build(Sqlite())}
