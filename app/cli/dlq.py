"""`identity dlq`: the group, and its commands that only read: `list` and `show`."""

from __future__ import annotations

import json
import time
from collections import Counter
from itertools import islice

import click

from app.cli.dlq_deferred import list_deferred
from app.cli.dlq_discard import discard
from app.cli.dlq_options import (
    chosen_queue,
    deferred_option,
    other_queue,
    queue_option,
    selection_options,
)
from app.cli.dlq_output import letters_table
from app.cli.dlq_replay import replay
from app.cli.output import printable, table_console
from app.cli.stores import environment_stores
from app.operations.dlq.documents import counts_as_json, job_as_json
from app.operations.dlq.selection import Selection
from app.queue.dead_letters import DeadLetter, DeadLetters
from app.queue.deferred import DeferredJob


@click.group()
def dlq() -> None:
    """See what failed, and replay or discard it.

    An event or effect becomes a dead letter if its failure does not pass with time, if it has
    failed 20 times, or if it kills its worker. Dead letters stay until you replay or discard them.
    Before that it is deferred: tried again by itself, after 2 s at first and an hour at most.
    """


dlq.add_command(replay)
dlq.add_command(discard)


@dlq.command("list")
@selection_options
@deferred_option
@click.option("--limit", default=50, show_default=True, type=click.IntRange(0), help="Rows shown.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line: counts, letters.")
def list_letters(
    selection: Selection, queue: str | None, deferred: bool, limit: int, as_json: bool
) -> None:
    """Count the dead letters by reason, and show the newest.

    Next: `dlq show ID`, and `dlq replay --dry-run` once the cause is fixed. With --deferred: what
    waits to be tried again, of both queues unless one is named; the next to be tried comes first.
    """
    now = time.time()
    with environment_stores(ledger=False) as stores:
        if deferred:
            list_deferred(stores, selection, queue, limit, as_json)
            return
        chosen = chosen_queue(stores, queue)
        counts, newest = _read(stores.dead_letters(chosen), selection, limit, now)
        elsewhere = "" if queue or as_json else other_queue(stores)
    total = sum(counts.values())
    if as_json:
        click.echo(json.dumps(counts_as_json(total, counts, complete=True)))
        for letter in newest:
            click.echo(json.dumps(job_as_json(letter)))
        return
    _show(counts, newest, selection, now)
    if elsewhere:
        click.echo(elsewhere)


def _show(counts: Counter[str], newest: list[DeadLetter], selection: Selection, now: float) -> None:
    total = sum(counts.values())
    if not total:
        click.echo("No dead letters" + (" like that." if selection != Selection() else "."))
        return
    for reason, count in counts.most_common():
        click.echo(f"{count:>8}  {printable(reason)}")
    if newest:
        table_console().print(letters_table(newest, now))
    if total > len(newest):
        click.echo(f"The newest {len(newest)} of {total}.")


def _read(
    letters: DeadLetters, selection: Selection, limit: int, now: float
) -> tuple[Counter[str], list[DeadLetter]]:
    """The number of letters by reason, and the newest; only those are kept in memory."""
    if selection == Selection():
        return letters.count_by_reason(), list(islice(letters, limit))
    counts: Counter[str] = Counter()
    newest: list[DeadLetter] = []
    for letter in selection.of(letters, now):
        counts[letter.reason] += 1
        if len(newest) < limit:
            newest.append(letter)
    return counts, newest


@dlq.command()
@click.argument("id")
@queue_option
@click.option("--traceback", is_flag=True, help="Where the error came from: files and lines.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show(id: str, queue: str | None, traceback: bool, as_json: bool) -> None:
    """Show everything that is known about a dead letter, or about what waits to be tried again."""
    with environment_stores(ledger=False) as stores:
        chosen = chosen_queue(stores, queue, [id])
        letters = stores.dead_letters(chosen)
        found: DeadLetter | DeferredJob | None = letters.find(id)
        found = found or stores.deferred(chosen).find(id)
        came_from = letters.traceback_of(id) if traceback else None
        if found is None:
            status = stores.queue(chosen).statuses([id])[id]
            suffix = f": it is {status}" if status else ""
            raise click.ClickException(f"{id} is not among the dead letters of {chosen}{suffix}")
    if as_json:
        more = {} if came_from is None else {"traceback": came_from}
        click.echo(json.dumps(job_as_json(found, **more)))
        return
    for name, value in job_as_json(found).items():
        if name != "payload":
            click.echo(f"{name:<16} {printable(str(value))}")
    click.echo("payload")
    for name, value in found.payload.items():
        click.echo(printable(f"  {name:<18} {'-' if value is None else value}"))
    if came_from is not None:
        click.echo("traceback" if came_from else "traceback        none is kept")
    for line in (came_from or "").splitlines():
        click.echo(printable(f"  {line}"))
