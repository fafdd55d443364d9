"""What all tables of the ledger share: how their parts are named, and how a part is meant."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Index, MetaData, literal_column, text

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def part(table: str, name: str, which: str, *columns: str) -> ColumnElement[Any]:
    """An index of a part of a table, and the condition by which a statement means this part.

    As text, and no values in it given as parameters: else a database sees no index in it.
    """
    found = metadata.tables[table]
    Index(
        f"ix_{table}_{name}",
        *(found.c[column] for column in columns),
        sqlite_where=text(which),
        postgresql_where=text(which),
    )
    return literal_column(f"({which})")
