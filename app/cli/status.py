"""`identity status`: whether users are being verified, and if not, why, and what to do."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

import click
from rich.table import Table
from rich.text import Text

from app.cli.output import format_time, printable, table_console
from app.cli.stores import environment_stores
from app.domain.durations import format_duration
from app.domain.funnel import Funnel
from app.domain.modes import mode_name
from app.domain.strip import Stage, describe
from app.ledger.week import Week
from app.operations.overview.needs import NAMES, Need
from app.operations.overview.overview import Overview

SIGNS = {"ok": "ok", "warn": "look", "bad": "WRONG", "off": "-"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="What /console/.json answers.")
def status(as_json: bool) -> None:
    """Say in one sentence whether users are being verified, and if not, why.

    Below it each stage from Stripe to your system, what needs a person with the command that sees
    to it, and how far users came in the last day and week. Exit code 1 if something is wrong.
    """
    with environment_stores() as stores:
        overview = Overview(stores, time.time)
        if as_json:
            click.echo(json.dumps(overview.as_json()))
        else:
            _show(overview)
        kind = overview.live().verdict.kind
    if kind == "bad":
        raise SystemExit(1)


def _show(overview: Overview) -> None:
    live, rest = overview.live(), overview.rest()
    click.echo(printable(str(live.verdict)))
    console = table_console()
    console.print(_stages(live.stages))
    if rest.needs:
        click.echo("\nNeeds a person:")
        console.print(_needs(rest.needs))
    if rest.week is not None and rest.week.until is not None:
        click.echo(f"\nUsers in {mode_name(overview.livemode)} mode:")
        console.print(_funnel(rest.week))
        since = f"since {format_time(rest.week.since)} UTC, and " if rest.week.since else ""
        click.echo(f"Counted {since}until {format_time(rest.week.until)} UTC.")
    for fault in rest.faults:
        click.echo(printable(fault), err=True)


def _stages(stages: Sequence[Stage]) -> Table:
    rows = [(SIGNS[stage.kind], stage.name, describe(stage)) for stage in stages]
    return _table(("", "stage", "state"), rows)


def _needs(needs: Sequence[Need]) -> Table:
    rows = [
        (
            NAMES[need.kind],
            need.reason or "",
            str(need.count),
            "-" if need.users is None else str(need.users),
            "-" if need.oldest_seconds is None else format_duration(need.oldest_seconds),
            need.command,
        )
        for need in needs
    ]
    return _table(("what", "reason", "how many", "users", "oldest", "command"), rows)


def _funnel(week: Week) -> Table:
    day, whole = Funnel.of(week.day), Funnel.of(week.week)
    names = ("created", "submitted", "verified", "abandoned", "canceled")
    rows = [(name, str(getattr(day, name)), str(getattr(whole, name))) for name in names]
    for code, number in whole.failed.items():
        rows.append((f"failed: {code}", str(day.failed.get(code, 0)), str(number)))
    return _table(("step", "last 24 hours", "last 7 days"), rows)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        # Literal text: in a string, rich would take a [reference] for markup.
        table.add_row(*(Text(printable(cell)) for cell in row))
    return table
