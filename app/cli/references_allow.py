"""`identity references allow`: one more attempt than MAX_ATTEMPTS, and why."""

from __future__ import annotations

import json
import time

import click

from app.cli.audited import audited
from app.cli.options import account_option, chosen_mode, mode_option, purpose_option
from app.cli.output import printable
from app.cli.stores import environment_stores
from app.domain.fields import usable_reference
from app.domain.modes import mode_name
from app.domain.standing import ReferenceKey
from app.operations.allow_attempt import MAX_REASON, allow_attempt, usable_reason
from app.operations.show_reference import as_json as record_as_json
from app.operations.show_reference import unknown_reference


@click.command()
@click.argument("reference")
@click.option("--reason", required=True, help="Why; it is kept in the timeline.")
@mode_option
@account_option
@purpose_option
@click.option("--json", "as_json", is_flag=True, help="What GET /v1/references answers.")
def allow(
    reference: str, reason: str, live: bool | None, account: str, purpose: str, as_json: bool
) -> None:
    """Allow REFERENCE (a client_reference_id) one more attempt than MAX_ATTEMPTS.

    Their sessions were canceled at the limit: your app has to start another. What was allowed
    lasts until the user is verified, as the attempts are then counted anew. The reason stays in
    the timeline: put no personal data there.
    """
    if not usable_reason(reason):
        raise click.BadParameter(f"has to have 1 to {MAX_REASON} characters", param_hint="--reason")
    user = {"reference": reference, "account": account, "purpose": purpose}
    with (
        environment_stores() as stores,
        audited(stores, "allow_attempt", reason=reason, **user) as entry,
    ):
        key = ReferenceKey(account, chosen_mode(stores, live), reference, purpose)
        entry.about(livemode=key.livemode)
        usable = usable_reference(reference) is not None
        standing = allow_attempt(stores, key, why=reason, now=int(time.time())) if usable else None
        if standing is None:
            where = f"{mode_name(key.livemode)} mode" + (
                f" of {printable(account)}" if account else ""
            )
            raise click.ClickException(unknown_reference(where))
        record = stores.ledger.read_reference(
            reference, account=account, livemode=key.livemode, purpose=purpose
        )
        limit = stores.settings.max_attempts
    if as_json:
        click.echo(json.dumps(record_as_json(record) if record else {}))
        return
    name = f"{printable(reference)} ({mode_name(key.livemode)} mode)"
    if limit is None:
        click.echo(f"{name}: allowed one more. MAX_ATTEMPTS is not set: nothing limits attempts.")
        return
    allowed = limit + standing.attempts_granted
    click.echo(
        f"{name}: {standing.attempts_counted} failed attempts count, of {allowed} allowed now."
    )
