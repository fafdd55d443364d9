"""All rows of a ledger of whatever schema: written, read and compared."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, MetaData

Rows = dict[str, list[dict[str, Any]]]


def rows_of(engine: Engine) -> Rows:
    """All that stands in the tables that the database has, but which revision it is at."""
    with engine.connect() as connection:
        return {
            table.name: [dict(row) for row in connection.execute(table.select()).mappings()]
            for table in tables_of(connection).sorted_tables
        }


def tables_of(connection: Connection) -> MetaData:
    found = MetaData()
    found.reflect(connection, only=lambda name, _: name != "alembic_version")
    return found


def add_rows(engine: Engine) -> None:
    """One to each table, every column with a value of its kind; the same for all, as keys are."""
    of_kind = {bool: True, int: 7, float: 7.5, str: "text"}
    with engine.begin() as connection:
        for table in tables_of(connection).sorted_tables:
            row = {column.name: of_kind[column.type.python_type] for column in table.c}
            connection.execute(table.insert(), row)


def missing(before: Rows, after: Rows) -> list[tuple[str, dict[str, Any]]]:
    """Rows that are not there any more as they were; they may have gained columns."""
    return [
        (table, row)
        for table, rows in before.items()
        for row in rows
        if not any(row.items() <= now.items() for now in after.get(table, []))
    ]
