"""`identity import`: read an account's existing sessions into the ledger."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict

import click

from app.cli.audited import audited
from app.cli.each_account import require_accounts, skipping_refused
from app.cli.options import each_account_option
from app.cli.output import ProgressBar, format_time, resumable_progress
from app.cli.stores import environment_stores
from app.operations.accounts import accounts_to_ask
from app.operations.backfill import forget_checkpoint
from app.operations.import_sessions import ImportProgress, SessionImport
from app.operations.own_account import remember_account
from app.stripe.retrying import RetryingStripe


@click.command("import")
@click.option(
    "--restart", is_flag=True, help="Start at the newest session, not where the last run stopped."
)
@click.option(
    "--notify", is_flag=True, help="Notify of what changes: after a loss of the ledger's data."
)
@click.option(
    "--new-account",
    is_flag=True,
    help="The ledger belongs to the account of STRIPE_API_KEY from now on.",
)
@each_account_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def import_(
    restart: bool, notify: bool, new_account: bool, only_account: str | None, as_json: bool
) -> None:
    """Read every VerificationSession of your accounts into the ledger.

    For an account that had sessions before this product: Stripe sends no more events about them.
    Nobody is notified of what is imported, unless by --notify: a ledger that was lost, or restored
    from a backup, may have to correct what receivers believe. It can be interrupted; the next run
    continues from there. Afterwards, `backfill` adds what only events say (failed attempts), for 30
    days back. The ledger remembers whose sessions it holds, and refuses the key of another account.
    """
    with (
        environment_stores() as stores,
        resumable_progress("Import") as bar,
        audited(stores, "import", account=only_account, new_account=new_account or None) as entry,
    ):
        stripe = RetryingStripe(stores.require_stripe(), bar.report)
        livemode = stores.settings.livemode
        own = stripe.own_account() if new_account else None
        if own is not None:
            remember_account(own, stores.ledger, livemode=livemode, now=int(time.time()))
            forget_checkpoint(stores, int(time.time()))
        results = []
        for account in require_accounts(accounts_to_ask(stores, only_account)):
            session_import = SessionImport(
                stripe,
                stores,
                livemode=livemode,
                notify=notify and stores.settings.policy.notify,
                account=account,
                now=time.time,
                report=bar.report,
            )
            with skipping_refused(account, only_account, bar.report):
                results.append(follow(session_import, restart, bar))
        result = total(results)
        bar.update(f"{result.sessions} sessions", 1, 1)
        entry.result = f"done: {result.sessions} sessions"
    click.echo(json.dumps(asdict(result)) if as_json else summary(result))


def follow(run: SessionImport, restart: bool, bar: ProgressBar) -> ImportProgress:
    """Run to the end."""
    result = ImportProgress(resumed=False)
    for result in run.steps(restart):
        bar.update(f"{result.sessions} sessions, back to {format_time(result.reached)}")
    return result


def total(results: Sequence[ImportProgress]) -> ImportProgress:
    """The imports of several accounts as one."""
    reached = [result.reached for result in results if result.reached is not None]
    return ImportProgress(
        resumed=any(result.resumed for result in results),
        sessions=sum(result.sessions for result in results),
        unreadable=sum(result.unreadable for result in results),
        reached=min(reached, default=None),
    )


def summary(result: ImportProgress) -> str:
    """The result as text."""
    lines = [f"{result.sessions} sessions are in the ledger now."]
    if result.resumed:
        lines.append("An earlier import was continued; its sessions are not counted here.")
    if result.unreadable:
        lines.append(f"{result.unreadable} could not be read and were left out.")
    return "\n".join(lines)
