"""The statements of `apply`: each takes any number of rows in one parameter.

A statement whose text grew with its rows would be parsed, planned and kept anew for each number of
them. So the rows come as one JSON text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Executable,
    Table,
    Text,
    bindparam,
    cast,
    column,
    func,
    literal_column,
    or_,
    select,
    true,
    type_coerce,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import ARRAY

from app.ledger.rows import STANDING_FIELDS
from app.ledger.statements import SESSIONS_WITH_ATTEMPTS
from app.ledger.tables import attempts, effects, events, sessions, standings, timeline

Row = Mapping[str, Any]
Parameters = dict[str, Any]

SESSION_KEY = ("id", "account", "livemode")
# Columns that only the sweep writes.
POLLED = {"checked_at", "missing_since"}


@dataclass(frozen=True, slots=True)
class Bulk:
    """A statement over rows, and how its parameters are made of them."""

    statement: Executable
    names: tuple[str, ...]
    pack: Callable[[tuple[str, ...], Sequence[Row]], Parameters]

    def parameters(self, rows: Sequence[Row]) -> Parameters:
        """What `statement` is executed with."""
        return self.pack(self.names, rows)


@dataclass(frozen=True, slots=True)
class Given:
    """Rows given as parameters, to select from: their columns by name, and how they are packed."""

    columns: dict[str, ColumnElement[Any]]
    pack: Callable[[tuple[str, ...], Sequence[Row]], Parameters]


@dataclass(frozen=True, slots=True)
class ApplyStatements:
    """What one transaction of `apply` executes, in its order."""

    insert_events: Bulk  # gives the ids of those that are new
    lock_sessions: Bulk  # gives key, reference, and how many observations were merged
    lock_standings: Bulk  # gives the standings; version 0 is one never seen
    read_sessions: Executable  # of the `keys` of references, and by `ids`
    pack_list: Callable[[Sequence[str]], Any]  # a list as a parameter
    update_sessions: Bulk
    insert_attempts: Bulk
    update_standings: Bulk
    insert_timeline: Bulk
    insert_effects: Bulk  # gives the ids of those that are new


def _recordset(columns: Sequence[Column[Any]]) -> Given:
    """PostgreSQL: `json_to_recordset` of one list of rows."""
    given = (
        func.json_to_recordset(cast(bindparam("rows", type_=Text), JSON))
        .table_valued(*(column(c.name, c.type) for c in columns))
        .render_derived(name="given", with_types=True)
    )
    return Given({c.name: given.c[c.name] for c in columns}, _pack_rows)


def _pack_rows(names: tuple[str, ...], rows: Sequence[Row]) -> Parameters:
    return {"rows": json.dumps([{name: row[name] for name in names} for row in rows])}


def _json_rows(columns: Sequence[Column[Any]]) -> Given:
    """SQLite: `json_each` of one list of rows."""
    given = func.json_each(bindparam("rows", type_=Text)).table_valued("value", name="given")
    return Given(
        {
            c.name: type_coerce(
                func.json_extract(given.c.value, literal_column(f"'$[{index}]'")), c.type
            )
            for index, c in enumerate(columns)
        },
        lambda names, rows: {"rows": json.dumps([[row[name] for name in names] for row in rows])},
    )


class _Builder:
    """Builds the statements for one database."""

    def __init__(
        self, into: Callable[..., Any], given: Callable[[Sequence[Column[Any]]], Given]
    ) -> None:
        self._into = into
        self._given = given

    def insert(self, table: Table, *left_out: str) -> tuple[Any, Callable[[Any], Bulk]]:
        """An insert of all columns but those `left_out`, and what makes a Bulk of it."""
        columns = [c for c in table.c if c.name not in left_out]
        given = self._given(columns)
        names = tuple(c.name for c in columns)
        # SQLite takes an ON CONFLICT after a select only if that has a WHERE.
        rows = select(*given.columns.values()).where(true())
        statement = self._into(table).from_select(list(names), rows)
        return statement, lambda built: Bulk(built, names, given.pack)

    def update(self, table: Table, key: Sequence[str], *left_out: str) -> Bulk:
        """An update, by `key`, of all other columns but those `left_out`."""
        columns = [c for c in table.c if c.name not in left_out]
        given = self._given(columns)
        changed = {c.name: given.columns[c.name] for c in columns if c.name not in key}
        statement = update(table).values(changed)
        for name in key:
            statement = statement.where(table.c[name] == given.columns[name])
        return Bulk(statement, tuple(c.name for c in columns), given.pack)


def _build(
    into: Callable[..., Any],
    given: Callable[[Sequence[Column[Any]]], Given],
    is_in: Callable[[Column[Any], str], ColumnElement[bool]],
    pack_list: Callable[[Sequence[str]], Any],
) -> ApplyStatements:
    build = _Builder(into, given)
    insert_events, events_bulk = build.insert(events)
    lock_sessions, sessions_bulk = build.insert(sessions, *POLLED)
    lock_standings, standings_bulk = build.insert(standings)
    insert_attempts, attempts_bulk = build.insert(attempts)
    insert_timeline, timeline_bulk = build.insert(timeline, "id")
    insert_effects, effects_bulk = build.insert(effects, "enqueued_at")
    # The updates change no key column: PostgreSQL's lock then lets foreign keys be checked
    # meanwhile. They do change one, as only an updated row is returned.
    return ApplyStatements(
        insert_events=events_bulk(insert_events.on_conflict_do_nothing().returning(events.c.id)),
        lock_sessions=sessions_bulk(
            lock_sessions.on_conflict_do_update(
                index_elements=list(SESSION_KEY),
                set_={
                    "observations": sessions.c.observations + lock_sessions.excluded.observations
                },
            ).returning(
                *(sessions.c[name] for name in SESSION_KEY),
                sessions.c.observations,
                sessions.c.reference,
                sessions.c.reference_source,
                sessions.c.reference_as_of,
            )
        ),
        lock_standings=standings_bulk(
            lock_standings.on_conflict_do_update(
                index_elements=["key"], set_={"version": standings.c.version}
            ).returning(standings.c.key, *(standings.c[name] for name in STANDING_FIELDS))
        ),
        read_sessions=SESSIONS_WITH_ATTEMPTS.where(
            or_(is_in(sessions.c.reference_key, "keys"), is_in(sessions.c.id, "ids"))
        ),
        pack_list=pack_list,
        update_sessions=build.update(sessions, SESSION_KEY, "observations", *POLLED),
        insert_attempts=attempts_bulk(insert_attempts.on_conflict_do_nothing()),
        update_standings=build.update(
            standings, ["key"], "account", "livemode", "client_reference_id"
        ),
        insert_timeline=timeline_bulk(insert_timeline),
        insert_effects=effects_bulk(
            insert_effects.on_conflict_do_nothing().returning(effects.c.id)
        ),
    )


def _in_array(column: Column[Any], name: str) -> ColumnElement[bool]:
    return column == func.any(bindparam(name, type_=ARRAY(column.type)))


def _in_json(column: Column[Any], name: str) -> ColumnElement[bool]:
    listed = func.json_each(bindparam(name, type_=Text)).table_valued("value", name=name)
    return column.in_(select(literal_column(f"{name}.value")).select_from(listed))


APPLY = {
    "postgresql": _build(postgresql.insert, _recordset, _in_array, list),
    "sqlite": _build(sqlite.insert, _json_rows, _in_json, lambda values: json.dumps(list(values))),
}
