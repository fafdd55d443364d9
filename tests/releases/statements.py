"""The SQL of a release's prebuilt statements, with parameters: kept, and executed again.

Statements that are built for each call, as for the filters of a list, are not among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Engine, event, text

from app.ledger.engine import open_engine
from tests.ledger.big import fill
from tests.ledger.prebuilt import execution, prebuilt
from tests.support.plans import NO_FOREIGN_KEYS
from tests.support.stores import migrate_database

SIZE = 60  # sessions; the parameters name some of them
# By name: the text for the driver, and its parameters.
Statements = Mapping[str, tuple[str, Any]]


def filled(url: str) -> Engine:
    """A ledger of this release's schema, with all that the statements ask for."""
    migrate_database(url)
    engine = open_engine(url)
    fill(engine, SIZE)
    return engine


def recorded(url: str) -> Statements:
    """What this release's prebuilt statements send to a database, each once."""
    engine = filled(url)
    found = {}
    for name, one in sorted(prebuilt(engine.dialect.name).items()):
        with engine.connect() as connection:
            found[name] = _sent(connection, *execution(name, one, engine))
    engine.dispose()
    return found


def execute(connection: Connection, sql: str, parameters: Any) -> None:
    """Execute what was kept; nothing of it is committed."""
    connection.execute(text(NO_FOREIGN_KEYS[connection.dialect.name]))
    given = tuple(parameters) if isinstance(parameters, list) else parameters
    connection.exec_driver_sql(sql, given)


def _sent(connection: Connection, statement: Any, parameters: Any) -> tuple[str, Any]:
    sent: list[tuple[str, Any]] = []

    def keep(_: Any, cursor: Any, sql: str, given: Any, *others: Any) -> None:
        sent.append((sql, given))

    connection.execute(text(NO_FOREIGN_KEYS[connection.dialect.name]))
    event.listen(connection, "before_cursor_execute", keep)
    connection.execute(statement, dict(parameters))
    (found,) = sent
    return found
