"""`identity references forget`: nothing of a user stays, not even that there was one."""

from __future__ import annotations

import json
import time
from dataclasses import asdict

import click

from app.cli.audited import audited
from app.cli.options import account_option, chosen_mode, mode_option
from app.cli.output import printable
from app.cli.stores import environment_stores
from app.domain.fields import usable_reference
from app.domain.modes import mode_name
from app.domain.standing import ReferenceKey
from app.operations.forget_reference import forget_reference, person_of
from app.operations.show_reference import unknown_reference


@click.command()
@click.argument("reference")
@mode_option
@account_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Although Stripe has not redacted all sessions.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: how much was removed.")
def forget(
    reference: str, live: bool | None, account: str, yes: bool, force: bool, as_json: bool
) -> None:
    """Forget REFERENCE (a client_reference_id) as a whole, for every purpose.

    Removes the standings with their timelines, sessions, attempts and notifications from the
    ledger, the user's dead letters, and messages in NOTIFY_STREAM. This cannot be undone, and a
    standing that is gone is no proof that the user was ever verified: `references redact` keeps
    that. Redact first: what Stripe still tells of a session brings the user back, and so does
    `import`. Events of the user that wait in the queue have to be applied first.
    """
    with (
        environment_stores() as stores,
        audited(stores, "forget_reference", reference=reference, account=account) as entry,
    ):
        key = ReferenceKey(account, chosen_mode(stores, live), reference)
        entry.about(livemode=key.livemode)
        where = f"{mode_name(key.livemode)} mode" + (f" of {printable(account)}" if account else "")
        if usable_reference(reference) is None or not (person := person_of(stores, key)).keys:
            raise click.ClickException(unknown_reference(where))
        if not yes:
            question = f"Forget {printable(reference)} and {len(person.sessions)} session(s)"
            click.confirm(f"{question} for good? ({where})", abort=True, err=True)
        forgotten = forget_reference(stores, key, force=force, now=int(time.time()))
        entry.target = {"reference": ""}  # that somebody was forgotten stays, and not who
    if as_json:
        click.echo(json.dumps({"client_reference_id": reference, **asdict(forgotten)}))
        return
    click.echo(
        f"Forgotten: {forgotten.sessions} session(s), {forgotten.dead_letters} dead letter(s), "
        f"{forgotten.stream_messages} message(s) of the stream."
    )
