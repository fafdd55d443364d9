"""`identity references`: a user's standing and its history, refresh and redaction."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence

import click
from rich.table import Table
from rich.text import Text

from app.cli.audited import audited
from app.cli.options import account_option, chosen_mode, mode_option, purpose_option
from app.cli.output import format_time, printable, table_console
from app.cli.stores import environment_stores
from app.domain.fields import usable_reference
from app.domain.modes import mode_name
from app.domain.standing import ReferenceKey, Standing
from app.ledger.rows import ReferenceRecord
from app.operations.redact_reference import find_sessions, request_redactions
from app.operations.refresh_reference import Refreshed, refresh_reference
from app.operations.show_reference import as_json as record_as_json
from app.operations.show_reference import unknown_reference
from app.stores import Stores

# Fields of a standing that are times.
TIMES = ("since", "verified_at", "verified_until")


@click.group()
def references() -> None:
    """Show users' standings and redact their sessions, as /v1/references does."""


@references.command()
@click.argument("reference")
@mode_option
@account_option
@purpose_option
@click.option("--json", "as_json", is_flag=True, help="What GET /v1/references answers.")
def show(reference: str, live: bool | None, account: str, purpose: str, as_json: bool) -> None:
    """Show the standing of REFERENCE (a client_reference_id), its sessions and its timeline."""
    with environment_stores() as stores:
        livemode = chosen_mode(stores, live)
        record = _read(stores, reference, account, livemode, purpose)
        if record is None:
            raise _unknown(livemode, account, _purposes(stores, reference, account, livemode))
    if as_json:
        click.echo(json.dumps(record_as_json(record)))
        return
    for_purpose = f", for {purpose}" if purpose else ""
    name = printable(record.client_reference_id)
    click.echo(f"{name} ({mode_name(livemode)} mode{for_purpose})\n")
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
    """Redact every session of REFERENCE at Stripe, for every purpose. This cannot be undone.

    In the mode of STRIPE_API_KEY. It lists the user's sessions at Stripe, so that those whose
    events never came are redacted too, and asks you first. The workers do it, and a session that is
    being processed waits until Stripe has decided; Stripe takes up to four days. The standing keeps
    the outcome, and shows that it was redacted.
    """
    with (
        environment_stores() as stores,
        audited(stores, "redact_reference", reference=reference, account=account) as entry,
    ):
        stores.require_stripe()
        livemode = stores.settings.livemode
        usable = usable_reference(reference) is not None
        now = int(time.time())
        sessions = (
            find_sessions(stores, reference, account=account, livemode=livemode, now=now)
            if usable
            else []
        )
        if not sessions:
            raise _unknown(livemode, account)
        if not yes and any(session.snapshot.redaction is None for session in sessions):
            question = f"Redact {len(sessions)} session(s) of {printable(reference)} for good?"
            click.confirm(f"{question} ({mode_name(livemode)} mode)", abort=True, err=True)
        redactions = request_redactions(stores, sessions, now)
        requested = sum(one.requested for one in redactions)
        entry.result = f"done: {requested} asked for"
    if as_json:
        answer = [one.as_json() for one in redactions]
        click.echo(json.dumps({"client_reference_id": reference, "sessions": answer}))
        return
    for one in redactions:
        click.echo(f"{one.session.id}  {one.session.status}  {one.as_json()['redaction']}")
    click.echo(
        _next_steps(requested) if requested else "Nothing to do: all are redacted, or will be."
    )


@references.command()
@click.argument("reference")
@account_option
@purpose_option
@click.option("--json", "as_json", is_flag=True, help="What POST /v1/references/…/refresh answers.")
def refresh(reference: str, account: str, purpose: str, as_json: bool) -> None:
    """Ask Stripe now about every session of REFERENCE, and say what that has changed.

    In the mode of STRIPE_API_KEY. Use it if a user waits for a webhook that seems lost. It lists
    the user's sessions at Stripe by client_reference_id, so that it also finds those whose events
    never came; of sessions that name the user in metadata only, it asks about those that are known.
    Your system is notified of what it finds, as of any other change. Nothing changes at Stripe.
    """
    user = {"reference": reference, "account": account, "purpose": purpose}
    with environment_stores() as stores, audited(stores, "refresh_reference", **user):
        stores.require_stripe()
        livemode = stores.settings.livemode
        refreshed = None
        if usable_reference(reference) is not None:
            key = ReferenceKey(account, livemode, reference, purpose)
            refreshed = refresh_reference(stores, key, int(time.time()))
    if refreshed is None:
        raise _unknown(livemode, account)
    if as_json:
        click.echo(json.dumps(refreshed.as_json()))
        return
    before = "-" if refreshed.before is None else refreshed.before.status
    change = "changed" if refreshed.changed else "unchanged"
    click.echo(f"{printable(reference)} ({mode_name(livemode)} mode): {change}\n")
    click.echo(f"  standing  {before} -> {refreshed.standing.status}")
    table_console().print(_refreshed_sessions(refreshed))
    if not refreshed.complete:
        click.echo("There are more sessions than are asked about at once: see `sweep`.")


def _refreshed_sessions(refreshed: Refreshed) -> Table:
    table = Table(box=None, title="\nSessions, newest first", title_justify="left")
    for heading in ("session", "before", "now", "outcome"):
        table.add_column(heading, overflow="fold")
    for session in refreshed.sessions:
        outcome = session.outcome.replace("_", " ")
        if outcome == "missing":
            outcome = "missing (not known to Stripe)"
        table.add_row(session.id, session.status_before or "-", session.status, outcome)
    return table


def _next_steps(requested: int) -> str:
    return (
        f"{requested} asked for. The workers ask Stripe, which takes up to four days; a session"
        " that is processing waits for its outcome.\nFollow it with `references show`: `redaction` "
        "becomes processing, then redacted."
    )


def _read(
    stores: Stores, reference: str, account: str, livemode: bool, purpose: str
) -> ReferenceRecord | None:
    if usable_reference(reference) is None:
        return None
    return stores.ledger.read_reference(
        reference, account=account, livemode=livemode, purpose=purpose
    )


def _purposes(stores: Stores, reference: str, account: str, livemode: bool) -> list[str]:
    """The purposes that the user is known for."""
    if usable_reference(reference) is None:
        return []
    return stores.ledger.purposes_of(reference, account=account, livemode=livemode)


def _unknown(livemode: bool, account: str, purposes: Sequence[str] = ()) -> click.ClickException:
    where = f"{mode_name(livemode)} mode" + (f" of {printable(account)}" if account else "")
    message = unknown_reference(where)
    if purposes:
        names = ", ".join(purpose or "the default one" for purpose in purposes)
        message += f", for this purpose: there is {names}"
    return click.ClickException(message)


def _show_standing(standing: Standing) -> None:
    values: Mapping[str, object] = standing._asdict()
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
