"""`identity import`: read an account's existing sessions into the ledger."""

from __future__ import annotations

import json
import time
from dataclasses import asdict

import click

from app.cli.output import format_time, resumable_progress
from app.cli.stores import environment_stores
from app.operations.import_sessions import ImportProgress, SessionImport
from app.stripe.retrying import RetryingStripe


@click.command("import")
@click.option(
    "--restart", is_flag=True, help="Start at the newest session, not where the last run stopped."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def import_(restart: bool, as_json: bool) -> None:
    """Read every VerificationSession of the account into the ledger.

    For an account that had sessions before this product: Stripe sends no more events about them.
    Nobody is notified of what is imported. It can be interrupted; the next run continues from
    there. Afterwards, `backfill` adds what only events say (failed attempts), for 30 days back.
    """
    with environment_stores() as stores, resumable_progress("Import") as bar:
        session_import = SessionImport(
            RetryingStripe(stores.require_stripe(), bar.report),
            stores.ledger,
            livemode=stores.settings.livemode,
            now=time.time,
            report=bar.report,
        )
        result = ImportProgress(resumed=False)
        for result in session_import.steps(restart):
            bar.update(f"{result.sessions} sessions, back to {format_time(result.reached)}")
        bar.update(f"{result.sessions} sessions", 1, 1)
    click.echo(json.dumps(asdict(result)) if as_json else summary(result))


def summary(result: ImportProgress) -> str:
    """The result as text."""
    lines = [f"{result.sessions} sessions are in the ledger now."]
    if result.resumed:
        lines.append("An earlier import was continued; its sessions are not counted here.")
    if result.unreadable:
        lines.append(f"{result.unreadable} could not be read and were left out.")
    return "\n".join(lines)
