"""`identity references`: how a user stands, and why."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict

import click
from rich.table import Table
from rich.text import Text

from app.cli.context import stores
from app.cli.terminal import for_tables, moment, plain
from app.domain.errors import Misconfigured, QueueUnavailable
from app.domain.event import usable_reference
from app.domain.reference import Standing
from app.ledger.rows import ReferenceRecord
from app.operations.redact_reference import redact_reference
from app.operations.show_reference import as_json as record_as_json
from app.queue.model import effect_job

TIMES = ("since", "verified_at")


@click.group()
def references() -> None:
    """See how users stand, and have them forgotten: what /v1/references does."""


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
        raise _unknown(livemode, account)
    if as_json:
        click.echo(json.dumps(record_as_json(record)))
        return
    click.echo(f"{plain(record.client_reference_id)} ({_mode(livemode)} mode)\n")
    _show_standing(record.standing)
    console = for_tables()
    console.print(_sessions(record))
    console.print(_timeline(record))


@references.command()
@click.argument("reference")
@click.option("--account", default="", help="The connected account (acct_…); else your own.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="What POST /v1/references/…/redact answers.")
def redact(reference: str, account: str, yes: bool, as_json: bool) -> None:
    """Have every session of REFERENCE redacted at Stripe. There is no way back.

    In the mode of STRIPE_API_KEY. Asks first. The workers do it, and a session that is being
    processed waits until Stripe has decided; Stripe takes up to four days. The standing keeps the
    outcome, and tells that it was redacted.
    """
    with stores() as opened:
        if opened.settings.stripe_api_key is None:
            raise Misconfigured(["STRIPE_API_KEY is not set: only with it can Stripe be asked"])
        livemode, now = opened.settings.livemode, int(time.time())
        record = None
        if usable_reference(reference) is not None:
            record = opened.ledger.read_reference(reference, account=account, livemode=livemode)
        if record is None or not record.sessions:
            raise _unknown(livemode, account)
        if not yes and any(session.redaction is None for session in record.sessions):
            told = f"Redact {len(record.sessions)} session(s) of {plain(reference)} for good?"
            click.confirm(f"{told} ({_mode(livemode)} mode)", abort=True, err=True)
        found = redact_reference(
            opened.ledger, reference, account=account, livemode=livemode, now=now
        )
        redactions, effects = found or ([], [])
        with suppress(QueueUnavailable):  # they are in the ledger: the clock queues them later
            opened.queue("effects").accept_all([effect_job(row, now) for row in effects])
    if as_json:
        sessions = [one.as_json() for one in redactions]
        click.echo(json.dumps({"client_reference_id": reference, "sessions": sessions}))
        return
    for one in redactions:
        click.echo(f"{one.session.id}  {one.session.status}  {one.as_json()['redaction']}")
    asked = sum(one.asked for one in redactions)
    click.echo(_what_comes_next(asked) if asked else "Nothing to do: all are redacted, or will be.")


def _what_comes_next(asked: int) -> str:
    return (
        f"{asked} asked for. The workers ask Stripe, which takes up to four days; a session that "
        "is processing waits for its outcome.\nFollow it with `references show`: `redaction` "
        "becomes processing, then redacted."
    )


def _unknown(livemode: bool, account: str) -> click.ClickException:
    return click.ClickException(
        f"no session of this client_reference_id is known in {_mode(livemode)} mode"
        + (f" of {plain(account)}" if account else "")
    )


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
