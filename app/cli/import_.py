"""`identity import`: adopt an account that has sessions already."""

from __future__ import annotations

import json
import time
from dataclasses import asdict

import click

from app.cli.context import stores
from app.cli.terminal import bar, moment
from app.operations.adopt import Adopted, Adoption
from app.operations.unhurried import UnhurriedStripe


@click.command("import")
@click.option("--restart", is_flag=True, help="From the newest session, not where it stopped.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def import_(restart: bool, as_json: bool) -> None:
    """Read every VerificationSession of the account into the ledger.

    For an account that had sessions before this product: of them Stripe sends no more events.
    Nobody is notified of what is imported. May be broken off: run again, it goes on from there.
    Afterwards `backfill` adds what the events of the last 30 days tell beyond (failed attempts).
    """
    with stores() as opened, bar("Import") as shown:
        adoption = Adoption(
            UnhurriedStripe(opened.stripe(), shown.say),
            opened.ledger,
            livemode=opened.settings.livemode,
            now=time.time,
            tell=shown.say,
        )
        result = Adopted(resumed=False)
        for result in adoption.steps(restart):
            shown.show(f"{result.sessions} sessions, back to {moment(result.reached)}")
        shown.show(f"{result.sessions} sessions", 1, 1)
    click.echo(json.dumps(asdict(result)) if as_json else told(result))


def told(result: Adopted) -> str:
    """The summary for people."""
    lines = [f"{result.sessions} sessions are in the ledger now."]
    if result.resumed:
        lines.append("An earlier import was gone on with; its own are not counted here.")
    if result.unreadable:
        lines.append(f"{result.unreadable} could not be read and were left out.")
    return "\n".join(lines)
