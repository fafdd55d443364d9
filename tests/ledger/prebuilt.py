"""The statements that the ledger has built, by name, and parameters that ask for a few rows."""

from __future__ import annotations

import hashlib
import pkgutil
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from importlib import import_module
from typing import Any

from sqlalchemy import Column, Engine, Executable

import app.ledger
from app.ledger.bulk import OF_KEY, AllAtOnce, OneByOne, OnlyMissing, Query
from app.ledger.tables import operations
from tests.ledger.big import NOW

# Parts of others, which are never executed by themselves.
PARTS = {"SESSIONS_WITH_ATTEMPTS", "_KEYS"}
# What may read everything, as people alone ask for it: the demo's table, `doctor`, `forget`.
BY_PEOPLE = {"ALL_STANDINGS", "MODES", "FORGET_EFFECTS"}
FIND = "_find"
Statement = Executable | AllAtOnce | OneByOne | Query


def digest(number: int) -> str:
    return hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()


VALUES: Mapping[str, Any] = {
    "account": "",
    "action": "redact_reference",
    "after": "",
    "at": NOW,
    "before": NOW - 900 * 86_400,
    "by": "a worker",
    "counted": 10,
    "effect_id": f"evt_{digest(9)}-notify",
    "first": 86_400,
    "from_second": 0,
    "horizon": NOW - 900 * 86_400,
    "id": f"evt_{digest(9)}-notify",
    "ids": [f"evt_{digest(n)}" for n in range(1, 9)],
    "key": f"key_{digest(9)}",
    "keys": [f"key_{digest(n)}" for n in range(1, 9)],
    "last": 30 * 86_400,
    "lines": 10,
    "livemode": True,
    "most": 20,
    "name": "any",
    "names": ["any", "other"],
    "now": NOW,
    "older_than": "op_8",
    "operation": f"op_{digest(9)}",
    "overdue": NOW - 900 * 86_400,
    "poll_at": NOW,
    "reason": "",
    "receiver": "notify_callback",
    "reference": f"user_{digest(9)}",
    "reference_key": f"key_{digest(9)}",
    "result": "done",
    "revision": "0004",
    "rows": 10,
    "session_account": "",
    "since": 0,
    "session_id": f"vs_{digest(9)}",
    "session_livemode": True,
    "status": "done",
    "target": "{}",
    "until": 40,
    "updated_at": NOW,
    "user": digest(9),
    "value": "7",
    "version": 7,
    "via": "cli",
    "who": "anna",
}


def prebuilt(dialect: str) -> dict[str, Statement]:
    """Every statement that a module of the ledger has built, by name."""
    found: dict[str, Statement] = {}
    names = [module.name for module in pkgutil.iter_modules(app.ledger.__path__)]
    for module in (import_module(f"app.ledger.{name}") for name in names if name != "migrations"):
        for name, either in vars(module).items():
            value = either[dialect] if isinstance(either, dict) and dialect in either else either
            if is_dataclass(value) and not isinstance(value, (type, Statement)):
                parts = {field.name: getattr(value, field.name) for field in fields(value)}
            else:
                parts = {name: value}
            for part, it in [(k, v) for k, v in parts.items() if isinstance(v, OnlyMissing)]:
                parts |= {part: it.insert, part + FIND: it.find}
            found.update({k: v for k, v in parts.items() if isinstance(v, Statement)})
    return {name: one for name, one in found.items() if name not in PARTS | BY_PEOPLE}


def sample(column: Column[Any]) -> Any:
    """A value for a column of a row that is written."""
    kind = column.type.python_type
    return {bool: True, int: 7, float: 7.0, str: "text", object: {}}[kind]


# Of what is told their columns when they are executed.
CHANGED: Mapping[str, dict[str, Any]] = {
    "ADD_OPERATION": {column.name: sample(column) for column in operations.c},
    "CHANGE_OPERATION": {"done": 7, "updated_at": NOW, "lease_until": NOW},
    "MARK_ENDED": {"status": "done", "updated_at": NOW},
    "MARK_ENQUEUED": {"enqueued_at": NOW, "updated_at": NOW},
}


def required(statement: Any, engine: Engine, columns: list[str] | None = None) -> set[str]:
    """The parameters that it has no value for."""
    compiled = statement.compile(engine, column_keys=columns)
    return {bind.key for bind in compiled.binds.values() if bind.required}


def row_key(column: str) -> str:
    """The value of a column that a row is locked by."""
    return str(VALUES["session_id" if column == "id" else column])


def execution(name: str, found: Statement, engine: Engine) -> tuple[Executable, Any]:
    """The statement, and parameters that ask for a few rows."""
    if isinstance(found, AllAtOnce | OneByOne):
        table: Any = found.statement.table  # type: ignore[attr-defined]  # an insert or an update
        row = {column.name: sample(column) for column in table.c}
        known = {"reference_key": VALUES["key"], "session_id": VALUES["session_id"], "account": ""}
        row.update({key: value for key, value in known.items() if key in row})
        if isinstance(found, AllAtOnce):
            return found.statement, {"rows": found.pack([row])}
        named = required(found.statement, engine)
        return found.statement, {name: row[name.removeprefix(OF_KEY)] for name in named}
    if isinstance(found, Query):
        asked = required(found.statement, engine)
        lists = {key: VALUES[key] if key in ("keys", "ids") else [row_key(key)] for key in asked}
        return found.statement, found.parameters(lists)
    changed: dict[str, Any] = CHANGED.get(name, {})
    asked = required(found, engine, list(changed) or None) - changed.keys()
    return found, {**changed, **{parameter: VALUES[parameter] for parameter in asked}}
