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

    def write(self, connection: Connection, rows: Sequence[Row]) -> Sequence[Any]:
        """As Bulk's."""
        if not rows:
            return ()
        found = connection.execute(self.statement, {"rows": self.pack(rows)})
        return found.all() if found.returns_rows else ()


class OneByOne:
    """SQLite: the driver's `executemany`. As that returns nothing, a second statement reads.

    No other transaction writes in between: ours began with BEGIN IMMEDIATE.
    """

    def __init__(self, statement: Any, key: str = "", read: Executable | None = None) -> None:
        """`read` gives what the rows' values of `key` name: they are its parameter `key`."""
        self.statement: Executable = statement
        self.key = key
        self.read = read
        compiled = statement.compile(dialect=sqlite.dialect(paramstyle="qmark"))
        self._text = str(compiled)
        self._values = itemgetter(*(name.removeprefix(OF_KEY) for name in compiled.positiontup))

    def write(self, connection: Connection, rows: Sequence[Row]) -> Sequence[Any]:
        """As Bulk's."""
        if not rows:
            return ()
        connection.exec_driver_sql(self._text, [*map(self._values, rows)])
        if self.read is None:
            return ()
        keys = to_json([row[self.key] for row in rows])
        return connection.execute(self.read, {self.key: keys}).all()


class Database(ABC):
    """Builds the statements for one kind of database."""

    @abstractmethod
    def is_in(self, tested: Column[Any], name: str) -> ColumnElement[bool]:
        """Whether a column is in the list that is the parameter of this name."""

    @abstractmethod
    def pack_list(self, values: Sequence[str]) -> Any:
        """A list as such a parameter."""

    @abstractmethod
    def insert(self, table: Table, names: Sequence[str], **constants: Any) -> Any:
        """An insert of these columns, and of the same values in each row."""

    @abstractmethod
    def insert_new(self, table: Table, names: Sequence[str]) -> Bulk:
        """An insert of the rows whose `id` is not there yet; it gives those ids."""

    @abstractmethod
    def bulk(self, inserted: Any) -> Bulk:
        """What `insert` gave; it gives nothing back."""

    @abstractmethod
    def lock(self, inserted: Any, key: str, returned: Sequence[Column[Any]]) -> Bulk:
        """The same; it gives the rows, those too that were there before, found by `key`."""

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

    def bulk(self, inserted: Any) -> Bulk:
        """As Database's. What the statement does not take of a row, the database skips."""
        return AllAtOnce(inserted, to_json)

    def lock(self, inserted: Any, key: str, returned: Sequence[Column[Any]]) -> Bulk:
        """As Database's."""
        return self.bulk(inserted.returning(*returned))

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

    def bulk(self, inserted: Any) -> Bulk:
        """As Database's."""
        return OneByOne(inserted)

    def lock(self, inserted: Any, key: str, returned: Sequence[Column[Any]]) -> Bulk:
        """As Database's."""
        read = select(*returned).where(self.is_in(inserted.table.c[key], key))
        return OneByOne(inserted, key, read)

    def update(self, table: Table, key: Sequence[str], names: Sequence[str]) -> Bulk:
        """As Database's."""
        statement = update(table).values({name: bindparam(name) for name in names})
        which = [table.c[name] == bindparam(OF_KEY + name) for name in key]
        return OneByOne(statement.where(*which))


def _constant(value: Any) -> ColumnElement[Any]:
    """A number, or a text without quotes, as it stands in SQL."""
    return literal_column(str(value) if isinstance(value, int) else f"'{value}'")
