"""How much of its tables a database reads for a statement."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Engine, Executable, event, text

from app.ledger.tables import metadata

EXPLAIN = {"postgresql": "EXPLAIN (ANALYZE, FORMAT JSON) ", "sqlite": "EXPLAIN QUERY PLAN "}
# Until the transaction ends, which is never committed: a part of a larger one is executed alone.
NO_FOREIGN_KEYS = {
    "postgresql": "SET LOCAL session_replication_role = replica",
    "sqlite": "PRAGMA defer_foreign_keys = ON",
}
# SQLite's instructions for one row that is read, found and returned are fewer than this.
STEPS_PER_ROW = 100
SCAN = re.compile(r"SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?")
PARTIAL = {
    str(index.name)
    for table in metadata.tables.values()
    for index in table.indexes
    if index.dialect_options["sqlite"]["where"] is not None
}


def excess(
    engine: Engine, statement: Executable, parameters: Mapping[str, Any], most: int
) -> list[str]:
    """Where a statement reads whole tables, or more than `most` rows; [] if nowhere.

    It is executed, and rolled back.
    """
    with engine.connect() as connection:
        connection.execute(text(NO_FOREIGN_KEYS[engine.dialect.name]))
        if engine.dialect.name == "postgresql":
            ((plan,),) = _explained(connection, statement, parameters)
            return [found for node in nodes(plan) for found in _excess_of(node, most)]
        steps = [str(row[-1]) for row in _explained(connection, statement, parameters)]
        return [*_scans(steps), *_executed(connection, statement, parameters, most)]


def _explained(
    connection: Connection, statement: Executable, parameters: Mapping[str, Any]
) -> list[Any]:
    prefix, plan = EXPLAIN[connection.dialect.name], list[Any]()

    def explain(_: Any, cursor: Any, sql: str, given: Any, *others: Any) -> tuple[str, Any]:
        return prefix + sql, given

    def read(_: Any, cursor: Any, *others: Any) -> None:
        plan.extend(cursor.fetchall())

    event.listen(connection, "before_cursor_execute", explain, retval=True)
    event.listen(connection, "after_cursor_execute", read)
    try:
        connection.execute(statement, dict(parameters))
    finally:
        event.remove(connection, "before_cursor_execute", explain)
        event.remove(connection, "after_cursor_execute", read)
    return plan


def nodes(plan: Any) -> Iterator[dict[str, Any]]:
    """Every step of a plan of PostgreSQL's."""
    if isinstance(plan, list):
        for part in plan:
            yield from nodes(part)
        return
    if "Node Type" in plan:
        yield plan
    for inner in ("Plan", "Plans"):
        if inner in plan:
            yield from nodes(plan[inner])


def _excess_of(node: Mapping[str, Any], most: int) -> list[str]:
    kind, table = node["Node Type"], node.get("Relation Name", node.get("Index Name"))
    if table is None or kind == "ModifyTable":
        return []
    removed = sum(
        node.get(name, 0) for name in ("Rows Removed by Filter", "Rows Removed by Index Recheck")
    )
    read = (node["Actual Rows"] + removed) * node["Actual Loops"]
    return [f"{kind} of {table}: {read:.0f} rows"] if kind == "Seq Scan" or read > most else []


def _scans(steps: list[str]) -> list[str]:
    found = [(step, SCAN.match(step)) for step in steps]
    return [
        step
        for step, scan in found
        if scan and scan[1] in metadata.tables and scan[2] not in PARTIAL
    ]


def _executed(
    connection: Connection, statement: Executable, parameters: Mapping[str, Any], most: int
) -> list[str]:
    """By SQLite's count of its instructions: a plan does not say how many rows it reads."""
    driver: Any = connection.connection.driver_connection
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        ticks += 1

    driver.set_progress_handler(tick, STEPS_PER_ROW)
    try:
        result = connection.execute(statement, dict(parameters))
        if result.returns_rows:
            result.all()
    finally:
        driver.set_progress_handler(None, 0)
    return [f"as much as {ticks} rows"] if ticks > most else []
