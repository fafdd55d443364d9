"""`identity effects`: what follows from a commit and is not done yet."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import get_args

import click
from rich.table import Table
from rich.text import Text

from app.cli.output import format_time, printable, table_console
from app.cli.stores import environment_stores
from app.ledger.outbox import EffectCount, OpenEffect, State
from app.operations.effect_page import effect_page


@click.command()
@click.option(
    "--state",
    type=click.Choice(get_args(State)),
    default="waiting",
    show_default=True,
    help="Those that the ledger alone has, that the queue has, or that are dead letters.",
)
@click.option(
    "--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="Rows shown."
)
@click.option("--after", default="", help="Start after this place, the `next` of a page.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: counts, state, data, next.")
def effects(state: State, limit: int, after: str, as_json: bool) -> None:
    """Count the effects that are not done, by state and kind, and show the oldest of one state.

    An effect is what follows once an event is in the ledger: your system is told, Stripe is asked
    again, a session is canceled or redacted. Dead ones are replayed by `dlq replay`.
    """
    with environment_stores() as stores:
        page = effect_page(stores.engine, state, after=after, limit=limit, now=int(time.time()))
    if as_json:
        click.echo(json.dumps(page.as_json()))
        return
    if not page.counts:
        click.echo("Everything is done.")
        return
    table_console().print(_counts_table(page.counts))
    if page.effects:
        table_console().print(_table(page.effects))
    else:
        click.echo(f"None is {state}.")
    if page.next:
        click.echo(f"There are more: --state {state} --after {page.next}")


def _counts_table(counts: Sequence[EffectCount]) -> Table:
    table = Table(box=None)
    for heading in ("state", "kind", "effects", "due by now"):
        table.add_column(heading)
    for one in counts:
        least = "" if one.complete else "at least "
        table.add_row(one.state, one.kind, f"{least}{one.count}", f"{least}{one.due}")
    return table


def _table(effects: Sequence[OpenEffect]) -> Table:
    table = Table(box=None)
    for heading in ("effect", "kind", "session", "due (UTC)", "asked for (UTC)", "queued (UTC)"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "effect")
    for effect in effects:
        cells = (
            effect.id,
            effect.kind,
            effect.session_id,
            format_time(effect.due),
            format_time(effect.created_at),
            format_time(effect.enqueued_at),
        )
        table.add_row(*(Text(printable(cell)) for cell in cells))
    return table
