"""`identity audit`: who changed what, or was refused it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

import click
from rich.table import Table
from rich.text import Text

from app.cli.output import format_time, printable, table_console
from app.cli.stores import environment_stores
from app.ledger.audit import AuditEntry


@click.group()
def audit() -> None:
    """See who changed what, by the API, the command line or the console."""


@audit.command("list")
@click.option("--who", help="Of this token, user or person, as the list names them.")
@click.option("--action", help="Of this action, such as redact_reference.")
@click.option(
    "--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="Rows shown."
)
@click.option("--before", type=click.IntRange(1, 2**63 - 1), help="Older than the entry ID.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: data, has_more.")
def list_entries(
    who: str | None, action: str | None, limit: int, before: int | None, as_json: bool
) -> None:
    """Show the audit, newest first.

    An entry says who changed what, when (UTC), by which way, why, and with what result: done,
    refused or failed. A read is in it if it showed what a person has submitted. A user is named by
    client_reference_id, unless the ledger does not know or has forgotten them.
    """
    with environment_stores() as stores:
        found = stores.audit.page(before, limit + 1, who, action)
    page, has_more = found[:limit], len(found) > limit
    if as_json:
        click.echo(json.dumps({"data": [asdict(one) for one in page], "has_more": has_more}))
        return
    if not page:
        anything = who is None and action is None and before is None
        click.echo("The audit is empty." if anything else "No entries like that.")
        return
    table_console().print(_table(page))
    if has_more:
        click.echo(f"There are more: --before {page[-1].id}")


def _table(entries: Sequence[AuditEntry]) -> Table:
    table = Table(box=None)
    for heading in ("id", "when (UTC)", "who", "via", "action", "target", "result", "reason"):
        table.add_column(heading, overflow="fold")
    for entry in entries:
        target = ", ".join(f"{name} {id or '-'}" for name, id in entry.target.items())
        cells = (
            str(entry.id),
            format_time(entry.at),
            entry.who,
            entry.via,
            entry.action,
            target or "-",
            entry.result,
            entry.reason or "-",
        )
        # Text, not markup: rich would read a [reference] as such.
        table.add_row(*(Text(printable(cell)) for cell in cells))
    return table
