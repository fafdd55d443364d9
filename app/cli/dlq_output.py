"""Dead letters, and the results of replays, as tables and text."""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich.table import Table
from rich.text import Text

from app.cli.output import printable, table_console
from app.domain.durations import format_duration
from app.domain.modes import mode_name
from app.operations.dlq.preview import Preview, in_words
from app.operations.dlq.replay import ReplayProgress
from app.operations.dlq.selection import age_of
from app.queue.dead_letters import DeadLetter
from app.queue.deferred import DeferredJob
from app.queue.model import EVENTS
from app.queue.registry import moment_of

MAX_REFERENCE = 40  # characters of a reference in a row


def letters_table(letters: Sequence[DeadLetter], now: float) -> Table:
    """One row for each letter; `now` is in Unix seconds."""
    table = _jobs_table("id", "reason", "error", "tries", "age", "session", "reference")
    for letter in letters:
        row = _cells(
            letter.id,
            letter.reason,
            letter.error_class or "-",
            str(letter.attempts),
            format_duration(age_of(letter, now)),
            str(letter.payload.get("session_id") or "-"),
            str(letter.payload.get("reference") or "-")[:MAX_REFERENCE],
        )
        table.add_row(*row)
    return table


def deferred_table(jobs: Sequence[DeferredJob], now: float) -> Table:
    """One row for each job that waits; `now` is in Unix seconds."""
    table = _jobs_table("id", "error", "tries", "failing for", "next try", "session", "reference")
    for job in jobs:
        row = _cells(
            job.id,
            job.error_class,
            str(job.attempts),
            format_duration(max(0.0, now - moment_of(job.first_failed_at, now))),
            format_duration(max(0.0, moment_of(job.next_try_at, now) - now)),
            str(job.payload.get("session_id") or "-"),
            str(job.payload.get("reference") or "-")[:MAX_REFERENCE],
        )
        table.add_row(*row)
    return table


def _jobs_table(*headings: str) -> Table:
    table = Table(box=None)
    for heading in headings:
        # An id is never folded, so that it can be copied.
        table.add_column(heading, overflow="fold", no_wrap=heading == "id")
    return table


def replay_summary(result: ReplayProgress, queue: str) -> str:
    """The result of a replay, in one line."""
    if queue == EVENTS.name:
        parts = [f"{result.applied} applied", f"{result.unchanged} unchanged"]
    else:
        parts = [f"{result.applied} done"]
    parts.append(f"{result.failed_again} failed again")
    if result.deferred:
        parts.append(f"{result.deferred} are tried again later")
    if result.waiting:
        parts.append(f"{result.waiting} still waiting")
    return f"{result.replayed} replayed: {', '.join(parts)}."


def show_previews(previews: Sequence[Preview]) -> None:
    """Print what would change for each reference, changes first, and the number of changes."""
    table = Table(box=None)
    for heading in ("reference", "mode", "letters", "now", "then", ""):
        table.add_column(heading, overflow="fold")
    for preview in sorted(previews, key=lambda preview: not preview.changes):
        row = _cells(
            _reference_cell(preview),
            mode_name(preview.livemode),
            str(preview.letters),
            in_words(preview.before),
            in_words(preview.after),
            "changes" if preview.changes else "",
        )
        table.add_row(*row)
    if previews:
        table_console().print(table)
    changing = sum(preview.changes for preview in previews)
    total = sum(preview.reference is not None for preview in previews)
    click.echo(f"{changing} of {total} reference(s) would change. Nothing was done.")


def _cells(*cells: str) -> list[Text]:
    """Literal text: in a string, rich would take a [reference] for markup."""
    return [Text(printable(cell)) for cell in cells]


def _reference_cell(preview: Preview) -> str:
    if preview.reference is None:
        return "(no reference)"
    purpose = f" ({preview.purpose})" if preview.purpose else ""
    return preview.reference[:MAX_REFERENCE] + purpose
