"""`identity references`: how a user stands, and why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.cli.context import stores
from app.cli.telling import moment, plain
from app.domain.event import usable_reference
from app.domain.reference import Standing
from app.ledger.rows import ReferenceRecord
from app.operations.show_reference import as_json as record_as_json

WIDE = 400  # columns: more than any row has
TIMES = ("since", "verified_at")


@click.group()
def references() -> None:
    """See how users stand: what GET /v1/references answers."""


@references.command()
@click.argument("reference")
@click.option("--live/--test", "live", default=None, help="The mode; else that of STRIPE_API_KEY.")
@click.option("--account", default="", help="The connected account (acct_…); else your own.")
@click.option("--json", "as_json", is_flag=True, help="What GET /v1/references answers.")
def show(reference: str, live: bool | None, account: str, as_json: bool) -> None:
    """Show how REFERENCE (a client_reference_id) stands, with its sessions and its timeline."""
    record = None
    with stores() as opened:
        livemode = opened.settings.livemode if live is None else live
        if usable_reference(reference) is not None:
            record = opened.ledger.read_reference(reference, account=account, livemode=livemode)
    if record is None:
        raise click.ClickException(
            f"no session of this client_reference_id is known in {_mode(livemode)} mode"
            + (f" of {plain(account)}" if account else "")
        )
    if as_json:
        click.echo(json.dumps(record_as_json(record)))
        return
    click.echo(f"{plain(record.client_reference_id)} ({_mode(livemode)} mode)\n")
    _show_standing(record.standing)
    console = Console(width=None if Console().is_terminal else WIDE)
    console.print(_sessions(record))
    console.print(_timeline(record))


def _mode(livemode: bool) -> str:
    return "live" if livemode else "test"


def _show_standing(standing: Standing) -> None:
    values: Mapping[str, object] = asdict(standing)
    for name, value in values.items():
        told = moment(value) if name in TIMES and isinstance(value, int) else value
        click.echo(f"  {name:<16} {'-' if told is None else told}")


def _sessions(record: ReferenceRecord) -> Table:
    table = Table(box=None, title="\nSessions, newest first", title_justify="left")
    for heading in ("session", "status", "since", "created", "attempts", "last error", "redaction"):
        table.add_column(heading, overflow="fold")
    for session in record.sessions:
        missing = " (not known to Stripe)" if session.id in record.missing else ""
        table.add_row(
            session.id + missing,
            session.status,
            moment(session.status_since),
            moment(session.created),
            str(session.attempts),
            session.last_error_code or "-",
            session.redaction or "-",
        )
    return table


def _timeline(record: ReferenceRecord) -> Table:
    table = Table(box=None, title="\nTimeline, oldest first", title_justify="left")
    for heading in ("at Stripe", "version", "status", "next step", "cause", "session", "by"):
        table.add_column(heading, overflow="fold")
    for line in record.timeline:
        table.add_row(
            moment(line.as_of),
            str(line.version),
            line.status + (f" ({line.last_error_code})" if line.last_error_code else ""),
            line.next_step,
            Text(line.cause + (f": {plain(line.note)}" if line.note else "")),
            line.cause_session_id,
            line.event_id or "-",
        )
    return table
