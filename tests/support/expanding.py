"""What of a migration an older release may miss: all that is not only added."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

from alembic.operations import AbstractOperations, Operations
from alembic.operations import ops as op
from alembic.runtime.migration import MigrationContext

# What a release that does not know of it never meets.
ADDS_BY_SQL = re.compile(r"\s*CREATE (VIEW|TABLE|INDEX)\b", re.IGNORECASE)


def operations_of(migration: Any) -> list[op.MigrateOperation]:
    """What a migration's module does, which it may do by `op` alone: there is no connection."""
    told: list[op.MigrateOperation] = []
    invoke = AbstractOperations.invoke

    def record(operations: AbstractOperations, operation: op.MigrateOperation) -> Any:
        told.append(operation)
        return invoke(operations, operation)

    opts = {"as_sql": True, "output_buffer": io.StringIO()}
    context = MigrationContext.configure(dialect_name="postgresql", opts=opts)
    unseen = AssertionError("what a migration does by a connection of its own cannot be seen here")
    with (
        patch.object(AbstractOperations, "invoke", record),
        patch.object(AbstractOperations, "get_bind", side_effect=unseen),
        Operations.context(context),
    ):
        migration.upgrade()
    return told


def narrowing(migration: Any) -> list[str]:
    """What it does that an older release may miss; [] if it only adds."""
    new: set[str] = set()
    found = []
    for operation in operations_of(migration):
        if isinstance(operation, op.CreateTableOp):
            new.add(operation.table_name)
        elif not _adds(operation, new):
            found.append(_name(operation))
    return found


def locks_out(since: str, out: Sequence[str]) -> bool:
    """Whether the newest release that is out could not work on a schema that is compatible so.

    `out` holds the revision that each release was at.
    """
    return bool(out) and since > max(out)


def _adds(operation: op.MigrateOperation, new: set[str]) -> bool:
    """Whether an older release, which does not know of it, writes and reads as before."""
    if isinstance(operation, op.ExecuteSQLOp):
        return bool(ADDS_BY_SQL.match(str(operation.sqltext)))
    if isinstance(operation, op.CreateIndexOp):
        return not operation.unique or operation.table_name in new
    if isinstance(operation, op.AddColumnOp):
        column = operation.column
        return bool(column.nullable or column.server_default is not None)
    return False


def _name(operation: op.MigrateOperation) -> str:
    table = getattr(operation, "table_name", None) or getattr(operation, "sqltext", "")
    return f"{type(operation).__name__} of {table}".strip()
