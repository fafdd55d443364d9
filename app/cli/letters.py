"""How dead letters, and what comes of them, are told to people."""

from __future__ import annotations

import click
from rich.table import Table
from rich.text import Text

from app.cli.terminal import for_tables, plain
from app.domain.reference import Standing
from app.operations.preview import Preview
from app.operations.replay import Replayed
from app.operations.select_letters import age_of
from app.queue.dead_letters import DeadLetter

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}  # of a length of time, in seconds


def _cells(*cells: str) -> list[Text]:
    """Text as it is: rich would take a [reference] for a colour."""
    return [Text(plain(cell)) for cell in cells]


def table_of(letters: list[DeadLetter], now: float) -> Table:
    """The letters, one a row."""
    table = Table(box=None)
    for heading in ("id", "reason", "error", "tries", "age", "session", "reference"):
        # An id in one piece can be copied, whatever has to give way to it.
        table.add_column(heading, overflow="fold", no_wrap=heading == "id")
    for letter in letters:
        row = _cells(
            letter.id,
            letter.reason,
            letter.error_class or "-",
            str(letter.attempts),
            _age(age_of(letter, now)),
            str(letter.payload.get("session_id") or "-"),
            str(letter.payload.get("reference") or "-")[:40],
        )
        table.add_row(*row)
    return table


def _age(seconds: float) -> str:
    unit = next(unit for unit in ("d", "h", "m", "s") if seconds >= UNITS[unit] or unit == "s")
    return f"{int(seconds / UNITS[unit])}{unit}"


def told_of(result: Replayed, queue: str) -> str:
    """The summary of a replay, in a line."""
    if queue == "events":
        parts = [f"{result.applied} applied", f"{result.unchanged} unchanged"]
    else:
        parts = [f"{result.applied} done"]
    parts.append(f"{result.failed_again} failed again")
    if result.deferred:
        parts.append(f"{result.deferred} are tried again later")
    if result.waiting:
        parts.append(f"{result.waiting} still waiting")
    return f"{result.replayed} replayed: {', '.join(parts)}."


def show_previews(previews: list[Preview]) -> None:
    """What would change by reference, changes first, and how much that is."""
    table = Table(box=None)
    for heading in ("reference", "mode", "letters", "now", "then", ""):
        table.add_column(heading, overflow="fold")
    for found in sorted(previews, key=lambda one: not one.changes):
        row = _cells(
            "(no reference)" if found.reference is None else found.reference[:40],
            "live" if found.livemode else "test",
            str(found.letters),
            _stands(found.before),
            _stands(found.after),
            "changes" if found.changes else "",
        )
        table.add_row(*row)
    if previews:
        for_tables().print(table)
    changing = sum(found.changes for found in previews)
    of = sum(found.reference is not None for found in previews)
    click.echo(f"{changing} of {of} reference(s) would change. Nothing was done.")


def _stands(standing: Standing | None) -> str:
    """A standing in a cell, with all that can change without its status."""
    if standing is None:
        return "-"
    parts = [standing.status]
    if standing.next_step != "none":
        parts.append(standing.next_step)
    if standing.attempts:
        parts.append(f"{standing.attempts} failed")
    if standing.redaction:
        parts.append(standing.redaction)
    return ", ".join(parts)
