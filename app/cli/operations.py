"""`identity operations`: replays and discards in bulk, which the workers carry out."""

from __future__ import annotations

import json
import time

import click

from app.cli.audited import audited
from app.cli.operations_output import operation_lines, operations_table, progress_of
from app.cli.operations_start import start
from app.cli.output import progress_bar, table_console
from app.cli.stores import environment_stores
from app.ledger.operations import Operation
from app.operations.bulk.start import stop_operation
from app.stores import Stores

# Seconds between two looks of `show --follow`.
LOOK_INTERVAL = 1.0


@click.group()
def operations() -> None:
    """Replay or discard dead letters in bulk, by the workers.

    What `dlq replay` and `dlq discard` do while you wait, an operation does without you: it is a
    row of the ledger with a reason, and goes on when you close the terminal and when a worker dies.
    The console shows, starts and stops the same.
    """


operations.add_command(start)


@operations.command("list")
@click.option(
    "--limit", default=20, show_default=True, type=click.IntRange(1, 1_000), help="Rows shown."
)
@click.option("--before", help="Start before this operation.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: data, has_more.")
def list_operations(limit: int, before: str | None, as_json: bool) -> None:
    """Show the operations, the newest first.

    They stay for 35 days after their end.
    """
    with environment_stores() as stores:
        found = stores.operations.page(before, limit + 1)
    shown = found[:limit]
    if as_json:
        data = [one.as_json() for one in shown]
        click.echo(json.dumps({"data": data, "has_more": len(found) > limit}))
        return
    if not shown:
        click.echo("No operations.")
        return
    table_console().print(operations_table(shown))
    if len(found) > limit:
        click.echo(f"There are more: --before {shown[-1].id}")


@operations.command()
@click.argument("id")
@click.option("--follow", is_flag=True, help="Go on until it is over.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object; with --follow, one a line.")
def show(id: str, follow: bool, as_json: bool) -> None:
    """Show one operation, and how far it has come.

    Ctrl-C ends --follow, and not the operation. Exit code 1 if the operation has failed.
    """
    with environment_stores() as stores:
        operation = _found(stores, id)
        if follow:
            operation = _follow(stores, operation, as_json)
    if as_json:
        click.echo(json.dumps(operation.as_json()))
    else:
        for line in operation_lines(operation):
            click.echo(line)
    if operation.state == "failed":
        raise SystemExit(1)


@operations.command()
@click.argument("id")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def stop(id: str, as_json: bool) -> None:
    """Stop an operation: no more letters are begun.

    What was put back goes on, and what was discarded is gone. Start another for the rest.
    """
    with environment_stores() as stores, audited(stores, "stop_operation", operation=id):
        operation = stop_operation(stores, id, time.time())
    if as_json:
        click.echo(json.dumps(operation.as_json()))
    else:
        so_far = "" if operation.over else " so far"
        done = f"{operation.done} of {operation.total} are done{so_far}"
        click.echo(f"{id} is {operation.state}: {done}.")


def _found(stores: Stores, id: str) -> Operation:
    operation = stores.operations.get(id)
    if operation is None:
        raise click.ClickException(f"there is no operation {id}")
    return operation


def _follow(stores: Stores, operation: Operation, as_json: bool) -> Operation:
    """Wait until it is over, or somebody presses Ctrl-C; how it stands then."""
    try:
        with progress_bar(operation.kind.capitalize(), operation.total) as bar:
            while not operation.over:
                bar.update(progress_of(operation), operation.done, operation.total)
                if as_json:
                    click.echo(json.dumps(operation.as_json()))
                time.sleep(LOOK_INTERVAL)
                operation = _found(stores, operation.id)
            bar.update(progress_of(operation), operation.done, operation.total)
    except KeyboardInterrupt:
        click.echo(f"{operation.id} goes on without you.", err=True)
    return operation
