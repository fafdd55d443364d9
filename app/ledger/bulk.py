"""Statements over any number of rows, whose text does not grow with them.

Else it would be parsed, planned and kept anew for each number of rows. PostgreSQL is given all rows
as one JSON text, in one round trip. SQLite, which has no round trips, is given them one by one: to
bind a row's values takes a third of the time that it takes to read them out of JSON.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Protocol

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Connection,
    Executable,
    Table,
    Text,
    bindparam,
    cast,
    column,
    func,
    literal_column,
    select,
    true,
    type_coerce,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import ARRAY

from app.ledger.rows import to_json

Row = Mapping[str, Any]
# What makes the one parameter of a statement out of rows.
Pack = Callable[[Sequence[Row]], str]

# SQLAlchemy wants names other than the columns' where an update is told which row it is.
OF_KEY = "key_"


class Bulk(Protocol):
    """A statement over rows."""

    def write(self, connection: Connection, rows: Sequence[Row]) -> Sequence[Any]:
        """Execute it, if there are rows; gives what it returns."""


@dataclass(frozen=True, slots=True)
class AllAtOnce:
    """The rows are one parameter, `rows`."""

    statement: Executable
    pack: Pack

    def parameters(self, rows: Sequence[Row]) -> dict[str, Any]:
        """What the statement is executed with."""
        return {"rows": self.pack(rows)}

    def write(self, connection: Connection, rows: Sequence[Row]) -> Sequence[Any]:
        """As Bulk's."""
        if not rows:
            return ()
        found = connection.execute(self.statement, self.parameters(rows))
        return found.all() if found.returns_rows else ()


class OneByOne:
    """SQLite: the driver's `executemany`, which returns nothing."""

    def __init__(self, statement: Any) -> None:
        """`statement` has a parameter for each column."""
        self.statement: Executable = statement
        compiled = statement.compile(dialect=sqlite.dialect(paramstyle="qmark"))
        self._text = str(compiled)
        self._values = itemgetter(*(name.removeprefix(OF_KEY) for name in compiled.positiontup))

    def write(self, connection: Connection, rows: Sequence[Row]) -> Sequence[Any]:
        """As Bulk's."""
        if rows:
            connection.exec_driver_sql(self._text, [*map(self._values, rows)])
        return ()


@dataclass(frozen=True, slots=True)
class Query:
    """A statement that reads by lists of texts."""

    statement: Executable
    pack_list: Callable[[Sequence[str]], Any]

    def parameters(self, lists: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """The lists, by their names, as the statement takes them."""
        return {name: self.pack_list(values) for name, values in lists.items()}

    def read(self, connection: Connection, lists: Mapping[str, Sequence[str]]) -> Sequence[Any]:
        """Execute it; gives the rows."""
        return connection.execute(self.statement, self.parameters(lists)).all()


@dataclass(frozen=True, slots=True)
class OnlyMissing:
    """SQLite: to look which rows are there takes less than to insert them in vain."""

    find: Query  # their keys, by the first column of these
    insert: OneByOne
    key: Sequence[str]

    def write(self, connection: Connection, rows: Sequence[Row]) -> Sequence[Any]:
        """As Bulk's."""
        first, *_ = self.key
        found = self.find.read(connection, {first: [row[first] for row in rows]})
        known = {tuple(row) for row in found}
        missing = [row for row in rows if tuple([row[name] for name in self.key]) not in known]
        return self.insert.write(connection, missing)


class Database(ABC):
    """Builds the statements for one kind of database."""

    @abstractmethod
    def is_in(self, tested: Column[Any], name: str) -> ColumnElement[bool]:
        """Whether a column is in the list that is the parameter of this name."""

    @abstractmethod
    def pack_list(self, values: Sequence[str]) -> Any:
        """A list as such a parameter."""

    def query(self, statement: Executable) -> Query:
        """A statement whose parameters are such lists."""
        return Query(statement, self.pack_list)

    @abstractmethod
    def insert(self, table: Table, names: Sequence[str], **constants: Any) -> Any:
        """An insert of these columns, and of the same values in each row."""

    @abstractmethod
    def insert_new(self, table: Table, names: Sequence[str]) -> Bulk:
        """An insert of the rows whose `id` is not there yet; it gives those ids."""

    @abstractmethod
    def insert_missing(
        self, table: Table, key: Sequence[str], names: Sequence[str], **constants: Any
    ) -> Bulk:
        """The same for the rows whose `key` is not there yet; it gives nothing back."""

    @abstractmethod
    def bulk(self, inserted: Any) -> Bulk:
        """What `insert` gave; it gives nothing back."""

    @abstractmethod
    def lock(self, table: Table, key: Sequence[str], returned: Sequence[Column[Any]]) -> Query:
        """A lock on the rows whose first column of `key` is in the list of that name."""

    @abstractmethod
    def update(self, table: Table, key: Sequence[str], names: Sequence[str]) -> Bulk:
        """An update of these columns, by those of `key`."""


class Postgres(Database):
    """`json_to_recordset` of one list of rows."""

    def is_in(self, tested: Column[Any], name: str) -> ColumnElement[bool]:
        """As Database's."""
        return tested == func.any(bindparam(name, type_=ARRAY(tested.type)))

    def pack_list(self, values: Sequence[str]) -> Any:
        """As Database's."""
        return list(values)

    def insert(self, table: Table, names: Sequence[str], **constants: Any) -> Any:
        """As Database's."""
        given = _recordset(table, names)
        rows = select(*given.values(), *map(_constant, constants.values()))
        return postgresql.insert(table).from_select([*names, *constants], rows)

    def insert_new(self, table: Table, names: Sequence[str]) -> Bulk:
        """As Database's."""
        inserted = self.insert(table, names).on_conflict_do_nothing()
        return self.bulk(inserted.returning(table.c.id))

    def insert_missing(
        self, table: Table, key: Sequence[str], names: Sequence[str], **constants: Any
    ) -> Bulk:
        """As Database's."""
        inserted = self.insert(table, [*key, *names], **constants)
        return self.bulk(inserted.on_conflict_do_nothing())

    def bulk(self, inserted: Any) -> Bulk:
        """As Database's. What the statement does not take of a row, the database skips."""
        return AllAtOnce(inserted, to_json)

    def lock(self, table: Table, key: Sequence[str], returned: Sequence[Column[Any]]) -> Query:
        """As Database's. The lock lets foreign keys be checked meanwhile."""
        found = select(*returned).where(self.is_in(table.c[key[0]], key[0]))
        found = found.order_by(*(table.c[name] for name in key))
        return self.query(found.with_for_update(key_share=True))

    def update(self, table: Table, key: Sequence[str], names: Sequence[str]) -> Bulk:
        """As Database's."""
        given = _recordset(table, [*key, *names])
        statement = update(table).values({name: given[name] for name in names})
        return self.bulk(statement.where(*(table.c[name] == given[name] for name in key)))


def _recordset(table: Table, names: Sequence[str]) -> dict[str, ColumnElement[Any]]:
    given = (
        func.json_to_recordset(cast(bindparam("rows", type_=Text), JSON))
        .table_valued(*(column(name, table.c[name].type) for name in names))
        .render_derived(name="given", with_types=True)
    )
    return {name: given.c[name] for name in names}


class Sqlite(Database):
    """Rows one by one, and `json_each` of a list where what is inserted has to be told."""

    def is_in(self, tested: Column[Any], name: str) -> ColumnElement[bool]:
        """As Database's."""
        listed = func.json_each(bindparam(name, type_=Text)).table_valued("value", name=name)
        return tested.in_(select(literal_column(f"{name}.value")).select_from(listed))

    def pack_list(self, values: Sequence[str]) -> Any:
        """As Database's."""
        return to_json(values)

    def insert(self, table: Table, names: Sequence[str], **constants: Any) -> Any:
        """As Database's."""
        given = {name: bindparam(name, type_=table.c[name].type) for name in names}
        same = {name: _constant(value) for name, value in constants.items()}
        return sqlite.insert(table).values(given | same)

    def insert_new(self, table: Table, names: Sequence[str]) -> Bulk:
        """As Database's."""
        given = func.json_each(bindparam("rows", type_=Text)).table_valued("value", name="given")
        extracted = [
            type_coerce(
                func.json_extract(given.c.value, literal_column(f"'$[{place}]'")),
                table.c[name].type,
            )
            for place, name in enumerate(names)
        ]
        # SQLite takes an ON CONFLICT after a select only if that has a WHERE.
        rows = select(*extracted).where(true())
        inserted = sqlite.insert(table).from_select(list(names), rows).on_conflict_do_nothing()
        values = itemgetter(*names)
        return AllAtOnce(inserted.returning(table.c.id), lambda rows: to_json([*map(values, rows)]))

    def insert_missing(
        self, table: Table, key: Sequence[str], names: Sequence[str], **constants: Any
    ) -> Bulk:
        """As Database's."""
        inserted = self.insert(table, [*key, *names], **constants)
        find = self.lock(table, key, [table.c[name] for name in key])
        return OnlyMissing(find, OneByOne(inserted), key)

    def bulk(self, inserted: Any) -> Bulk:
        """As Database's."""
        return OneByOne(inserted)

    def lock(self, table: Table, key: Sequence[str], returned: Sequence[Column[Any]]) -> Query:
        """As Database's. Nobody else writes: the transaction began with BEGIN IMMEDIATE."""
        found = select(*returned).where(self.is_in(table.c[key[0]], key[0]))
        return self.query(found)

    def update(self, table: Table, key: Sequence[str], names: Sequence[str]) -> Bulk:
        """As Database's."""
        statement = update(table).values({name: bindparam(name) for name in names})
        which = [table.c[name] == bindparam(OF_KEY + name) for name in key]
        return OneByOne(statement.where(*which))


def _constant(value: Any) -> ColumnElement[Any]:
    """A number, or a text without quotes, as it stands in SQL."""
    return literal_column(str(value) if isinstance(value, int) else f"'{value}'")
