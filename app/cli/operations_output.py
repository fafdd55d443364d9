"""Operations, and what they would change, as tables and text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import click
from rich.table import Table
from rich.text import Text

from app.cli.dlq_output import show_previews
from app.cli.output import format_time, printable
from app.ledger.operations import Operation
from app.operations.bulk.preview import OperationPreview
from app.operations.bulk.start import SetChanged
from app.queue.model import EVENTS


def operations_table(operations: Sequence[Operation]) -> Table:
    """One row for each."""
    table = Table(box=None)
    for heading in ("id", "what", "state", "done", "of", "failed", "began (UTC)", "who", "reason"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "id")
    for one in operations:
        row = (
            one.id,
            f"{one.kind} {one.queue}",
            one.state,
            str(one.done),
            str(one.total),
            str(one.failed),
            format_time(one.created_at),
            one.who,
            one.reason,
        )
        table.add_row(*(Text(printable(cell)) for cell in row))
    return table


def operation_lines(operation: Operation) -> Iterator[str]:
    """All that is known of one."""
    for name, value in operation.as_json().items():
        if name.endswith("_at"):
            shown = format_time(value) + (" UTC" if value else "")
        elif name == "selection":
            shown = json.dumps(value) if value else "all"
        elif name == "rate":
            shown = "no limit" if value is None else f"{value:g} letters a second"
        else:
            shown = str(value)
        yield f"{name:<12} {printable(shown) or '-'}"


def progress_of(operation: Operation) -> str:
    """How far it has come, beside a bar."""
    failed = f", {operation.failed} dead again" if operation.failed else ""
    note = f" ({operation.note})" if operation.note else ""
    return printable(f"{operation.done} of {operation.total} done{failed}{note}")


def show_preview(preview: OperationPreview) -> None:
    """What would be done, to whom, and the digest that starts it."""
    if preview.changes:
        show_previews(preview.changes)
    shown = sum(one.reference is not None for one in preview.changes)
    if preview.users > shown:
        click.echo(f"Shown are {shown} of {preview.hit}.")
    if preview.kind == "discard" and preview.selection.queue == EVENTS.name:
        click.echo("A discard does not make these changes: it gives them up for good.")
    click.echo(f"{preview.kind} of {preview.letters}, {preview.hit} hit.")
    click.echo(f"Digest: {preview.digest}")


def show_difference(changed: SetChanged) -> None:
    """What has changed since the preview, on standard error."""
    click.echo(str(changed), err=True)
    for user in changed.users:
        click.echo(f"  new: {printable(user)}", err=True)
    click.echo(f"New digest: {changed.preview.digest}", err=True)


def difference_as_json(changed: SetChanged) -> str:
    """The same as one JSON object."""
    return json.dumps(
        {
            "error": changed.code,
            "new": changed.new,
            "gone": changed.gone,
            "users": changed.users,
            "preview": changed.preview.as_json(),
        }
    )
