"""The log calls of the source: read from it, not by running, so that none is missed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("app", "workers")
LEVELS = frozenset({"debug", "info", "warning", "error", "critical", "exception"})


@dataclass(frozen=True)
class LogCall:
    """One call; `event` is None if it is not a text that stands there."""

    where: str
    part: str | None
    level: str
    event: str | None
    fields: frozenset[str]
    more_fields: bool  # by `**`


def log_calls(source: str, where: str) -> Iterator[LogCall]:
    """The calls of a module's logger, which is `log = get_logger("part")` everywhere.

    A use of `log` that is no call of a level, and a logger of another name, come without an event.
    """
    tree = ast.parse(source)
    part = _part(tree)
    uses, loggers, calls = 0, 0, []
    for node in ast.walk(tree):
        uses += isinstance(node, ast.Name) and node.id == "log" and isinstance(node.ctx, ast.Load)
        if isinstance(node, ast.Call):
            loggers += isinstance(node.func, ast.Name) and node.func.id == "get_logger"
            if level := _level(node.func):
                calls.append(_call(node, level, f"{where}:{node.lineno}", part))
    if part is not None:
        yield from calls
    if (part is not None and uses > len(calls)) or loggers > (part is not None):
        yield LogCall(where, part, "", None, frozenset(), False)


def all_log_calls() -> list[LogCall]:
    """Those of app/ and workers/."""
    return [
        call
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for call in log_calls(path.read_text("utf-8"), str(path.relative_to(ROOT)))
    ]


def _call(node: ast.Call, level: str, where: str, part: str | None) -> LogCall:
    first = node.args[0] if len(node.args) == 1 else None
    event = first.value if isinstance(first, ast.Constant) else None
    names = [keyword.arg for keyword in node.keywords]
    return LogCall(
        where=where,
        part=part,
        level=level,
        event=event if isinstance(event, str) else None,
        fields=frozenset(name for name in names if name is not None),
        more_fields=None in names,
    )


def _level(function: ast.expr) -> str | None:
    """The level, if the function is a method of `log` that logs."""
    match function:
        case ast.Attribute(value=ast.Name(id="log"), attr=name) if name in LEVELS:
            return name
    return None


def _part(tree: ast.Module) -> str | None:
    """The part that `log = get_logger("part")` names."""
    for node in tree.body:
        match node:
            case ast.Assign(
                targets=[ast.Name(id="log")],
                value=ast.Call(
                    func=ast.Name(id="get_logger"), args=[ast.Constant(value=str(part))]
                ),
            ):
                return part
    return None
