"""`identity references`: a user's standing and its history, and the redaction of their sessions."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict

import click
from rich.table import Table
from rich.text import Text

from app.cli.options import account_option, chosen_mode, mode_option
from app.cli.output import format_time, printable, table_console
from app.cli.stores import environment_stores
from app.domain.fields import usable_reference
from app.domain.modes import mode_name
from app.domain.standing import Standing
from app.ledger.rows import ReferenceRecord
from app.operations.redact_reference import redact_reference
from app.operations.show_reference import as_json as record_as_json
from app.operations.show_reference import unknown_reference
from app.stores import Stores

# Fields of a standing that are times.
TIMES = ("since", "verified_at")


@click.group()
def references() -> None:
    """Show users' standings and redact their sessions, as /v1/references does."""


@references.command()
@click.argument("reference")
@mode_option
@account_option
@click.option("--json", "as_json", is_flag=True, help="What GET /v1/references answers.")
def show(reference: str, live: bool | None, account: str, as_json: bool) -> None:
    """Show the standing of REFERENCE (a client_reference_id), its sessions and its timeline."""
    with environment_stores() as stores:
        livemode = chosen_mode(stores, live)
        record = _read(stores, reference, account, livemode)
    if record is None:
        raise _unknown(livemode, account)
    if as_json:
        click.echo(json.dumps(record_as_json(record)))
        return
    click.echo(f"{printable(record.client_reference_id)} ({mode_name(livemode)} mode)\n")
    _show_standing(record.standing)
    console = table_console()
    console.print(_sessions(record))
    console.print(_timeline(record))


@references.command()
@click.argument("reference")
@account_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="What POST /v1/references/…/redact answers.")
def redact(reference: str, account: str, yes: bool, as_json: bool) -> None:
    """Redact every session of REFERENCE at Stripe. This cannot be undone.

    In the mode of STRIPE_API_KEY. Asks first. The workers do it, and a session that is being
    processed waits until Stripe has decided; Stripe takes up to four days. The standing keeps the
    outcome, and shows that it was redacted.
    """
    with environment_stores() as stores:
        stores.require_stripe()
        livemode = stores.settings.livemode
        record = _read(stores, reference, account, livemode)
        if record is None or not record.sessions:
            raise _unknown(livemode, account)
        if not yes and any(session.snapshot.redaction is None for session in record.sessions):
            question = (
                f"Redact {len(record.sessions)} session(s) of {printable(reference)} for good?"
            )
            click.confirm(f"{question} ({mode_name(livemode)} mode)", abort=True, err=True)
        redactions = redact_reference(
            stores, reference, account=account, livemode=livemode, now=int(time.time())
        )
    if as_json:
        sessions = [one.as_json() for one in redactions]
        click.echo(json.dumps({"client_reference_id": reference, "sessions": sessions}))
        return
    for one in redactions:
        click.echo(f"{one.session.id}  {one.session.status}  {one.as_json()['redaction']}")
    requested = sum(one.requested for one in redactions)
    click.echo(
        _next_steps(requested) if requested else "Nothing to do: all are redacted, or will be."
    )


def _next_steps(requested: int) -> str:
    return (
        f"{requested} asked for. The workers ask Stripe, which takes up to four days; a session"
        " that is processing waits for its outcome.\nFollow it with `references show`: `redaction` "
        "becomes processing, then redacted."
    )


def _read(stores: Stores, reference: str, account: str, livemode: bool) -> ReferenceRecord | None:
    if usable_reference(reference) is None:
        return None
    return stores.ledger.read_reference(reference, account=account, livemode=livemode)


def _unknown(livemode: bool, account: str) -> click.ClickException:
    where = f"{mode_name(livemode)} mode" + (f" of {printable(account)}" if account else "")
    return click.ClickException(unknown_reference(where))


def _show_standing(standing: Standing) -> None:
    values: Mapping[str, object] = asdict(standing)
    for name, value in values.items():
        text = format_time(value) if name in TIMES and isinstance(value, int) else value
        click.echo(f"  {name:<16} {'-' if text is None else text}")


def _sessions(record: ReferenceRecord) -> Table:
    table = Table(box=None, title="\nSessions, newest first", title_justify="left")
    for heading in ("session", "status", "since", "created", "attempts", "last error", "redaction"):
        table.add_column(heading, overflow="fold")
    for session in record.sessions:
        missing = " (not known to Stripe)" if session.id in record.missing else ""
        table.add_row(
            session.id + missing,
            session.status,
            format_time(session.status_since),
            format_time(session.snapshot.created),
            str(session.attempts),
            session.snapshot.last_error_code or "-",
            session.snapshot.redaction or "-",
        )
    return table


def _timeline(record: ReferenceRecord) -> Table:
    table = Table(box=None, title="\nTimeline, oldest first", title_justify="left")
    for heading in ("at Stripe", "version", "status", "next step", "cause", "session", "by"):
        table.add_column(heading, overflow="fold")
    for line in record.timeline:
        table.add_row(
            format_time(line.as_of),
            str(line.version),
            line.status + (f" ({line.last_error_code})" if line.last_error_code else ""),
            line.next_step,
            Text(line.cause + (f": {printable(line.note)}" if line.note else "")),
            line.cause_session_id,
            line.event_id or "-",
        )
    return table
