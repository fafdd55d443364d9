"""`identity sweep`: ask Stripe now about sessions that have had no event for long."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence

import click

from app.cli.audited import audited
from app.cli.output import ProgressBar, resumable_progress
from app.cli.stores import environment_stores
from app.operations.effects import enqueue_and_mark
from app.operations.own_account import check_account
from app.operations.sweep import enqueue_rechecks
from app.stores import Stores

POLL_INTERVAL = 0.2
# Seconds without any outcome after which no worker seems to run.
STALL_TIMEOUT = 60.0
# What the status of an effect's job means here; any other means that it is done.
OUTCOMES = {"failed": "failed", "scheduled": "deferred"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object: asked, done, …")
def sweep(as_json: bool) -> None:
    """Ask Stripe about every session that is due, and merge what it says.

    A session is due after 15 minutes of processing, an hour of redaction, and a day of being open;
    then after twice, four, eight times as long, and so on for 30 days. The clock does this too,
    some hundred a minute; this command does all at once, through the effects worker. Your system is
    notified of what it finds, as of any other change. Exit code 1 if Stripe could not be asked
    about some.
    """
    with (
        environment_stores() as stores,
        resumable_progress("Sweep") as bar,
        audited(stores, "sweep") as entry,
    ):
        livemode, now = stores.settings.livemode, int(time.time())
        check_account(stores.require_stripe(), stores.ledger, livemode=livemode, now=now)
        outcomes, overdue = _sweep(stores, bar)
        entry.result = f"done: {outcomes['done']} of {outcomes['asked']} sessions"
    if as_json:
        found = {
            name: outcomes[name] for name in ("asked", "done", "deferred", "failed", "waiting")
        }
        click.echo(json.dumps({**found, "redactions_overdue": overdue}))
    else:
        click.echo(_summary(outcomes, overdue))
    if outcomes["failed"] or outcomes["waiting"]:
        raise SystemExit(1)


def _sweep(stores: Stores, bar: ProgressBar) -> tuple[Counter[str], int]:
    """Recheck all due sessions; returns the outcomes, and how many redactions are overdue."""
    outcomes: Counter[str] = Counter()
    now = int(time.time())
    for effects in enqueue_rechecks(stores.ledger, livemode=stores.settings.livemode, now=now):
        enqueue_and_mark(effects, stores.effects, stores.ledger, now)
        outcomes["asked"] += len(effects)
        outcomes += _await_outcomes(
            stores, [effect.id for effect in effects], outcomes["done"], bar
        )
        if outcomes["waiting"]:
            break  # no worker runs: the rest stays due
    return outcomes, stores.ledger.polling.overdue_redactions(now)


def _await_outcomes(
    stores: Stores, ids: Sequence[str], done_before: int, bar: ProgressBar
) -> Counter[str]:
    """Wait until each effect has an outcome, or none has had one for too long; count them."""
    last_outcome = time.monotonic()
    found: Counter[str] = Counter()
    left = set(ids)
    while left and time.monotonic() - last_outcome < STALL_TIMEOUT:
        for id, status in stores.effects.statuses(sorted(left)).items():
            if status not in ("queued", "started"):
                last_outcome = time.monotonic()
                left.discard(id)
                found[OUTCOMES.get(status or "", "done")] += 1
        bar.update(f"{done_before + found['done']} answered", len(ids) - len(left), len(ids))
        if left:
            time.sleep(POLL_INTERVAL)
    found["waiting"] = len(left)
    return found


def _summary(outcomes: Counter[str], overdue: int) -> str:
    lines = [f"{outcomes['asked']} sessions were due; Stripe was asked about {outcomes['done']}."]
    if outcomes["deferred"]:
        lines.append(f"{outcomes['deferred']} are tried again later by themselves.")
    if outcomes["failed"]:
        lines.append(f"{outcomes['failed']} failed: `dlq list --queue effects` says why.")
    if outcomes["waiting"]:
        lines.append(f"{outcomes['waiting']} still wait: does a worker run?")
    if overdue:
        lines.append(f"{overdue} redactions are not finished after Stripe's four days: ask Stripe.")
    return "\n".join(lines)
