"""`identity backfill`: enqueue the events at Stripe that no delivery brought."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click

from app.cli.audited import audited
from app.cli.each_account import require_accounts, skipping_refused
from app.cli.options import each_account_option
from app.cli.output import ProgressBar, format_time, resumable_progress
from app.cli.stores import environment_stores
from app.domain.durations import DAY, parse_duration
from app.operations.accounts import accounts_to_ask
from app.operations.backfill import Backfill, BackfillProgress
from app.stripe.retrying import RetryingStripe

# Seconds between checks of whether the queue has room.
POLL_INTERVAL = 1.0


class Moment(click.ParamType[int]):
    """A time as `3d` (ago) or `2026-11-01` (UTC), in Unix seconds."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """Parse the option; a usage error if it is not a time."""
        if isinstance(value, int):
            return value
        ago = parse_duration(str(value))
        if ago is not None:
            return int(time.time()) - ago
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a time: write 90m, 12h, 3d or 2026-11-01", param, ctx)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


@click.command()
@click.option("--since", type=Moment(), help="Where to start: 3d, or 2026-11-01 (UTC).")
@each_account_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def backfill(since: int | None, only_account: str | None, as_json: bool) -> None:
    """Queue the events in Stripe's list that neither the ledger nor the queue has.

    Continues where the last run ended, or starts at --since; Stripe keeps events for 30 days.
    Missing events are processed like deliveries, so workers have to run. Dead letters stay where
    they are: use `dlq replay`. It can be interrupted and run twice. The clock does the same every
    five minutes, for your own account and each connected one that the ledger has sessions of.
    """
    with (
        environment_stores() as stores,
        resumable_progress("Backfill") as bar,
        audited(stores, "backfill", account=only_account) as entry,
    ):
        stripe = RetryingStripe(stores.require_stripe(), bar.report)
        results = []
        for account in require_accounts(accounts_to_ask(stores, only_account)):
            run = Backfill(stripe, stores, now=time.time, report=bar.report, account=account)
            with skipping_refused(account, only_account, bar.report):
                results.append(follow(run, since, bar))
        result = total(results)
        entry.result = f"done: {result.missing} events queued"
    click.echo(json.dumps(asdict(result)) if as_json else summary(result, since))


def total(results: Sequence[BackfillProgress]) -> BackfillProgress:
    """The runs of several accounts as one."""
    if not results:
        return BackfillProgress(0, 0, 0)
    return BackfillProgress(
        since=min(result.since for result in results),
        until=max(result.until for result in results),
        reached=max(result.reached for result in results),
        events=sum(result.events for result in results),
        missing=sum(result.missing for result in results),
        missed=sum(result.missed for result in results),
        unreadable=sum(result.unreadable for result in results),
    )


def follow(
    run: Backfill, since: int | None, bar: ProgressBar, sleep: Callable[[float], None] = time.sleep
) -> BackfillProgress:
    """Run to the end, and pause while the workers cannot keep up."""
    result = BackfillProgress(0, 0, 0)
    for result in run.steps(since):
        found = f"{result.missing} missing of {result.events}, up to {format_time(result.reached)}"
        bar.update(found, result.reached - result.since, result.until - result.since)
        waiting = False
        while run.crowded():
            if not waiting:
                bar.report("The queue is long: waiting until the workers have made room.")
            waiting = True
            sleep(POLL_INTERVAL)
    return result


def summary(result: BackfillProgress, since: int | None) -> str:
    """The result as text."""
    since_text = format_time(result.since)
    lines = [
        f"{result.missing} of Stripe's {result.events} events since {since_text} UTC "
        "were missing" + (", and are queued now." if result.missing else ".")
    ]
    if result.unreadable:
        lines.append(f"{result.unreadable} could not be read and were left out.")
    if since is not None and result.since > since + DAY:
        lines.append("Stripe keeps events for 30 days. Use `import` for what is older.")
    return "\n".join(lines)
