"""`identity backfill`: accept the events that Stripe has and no delivery has brought."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click

from app.cli.context import stores
from app.cli.terminal import Bar, bar, moment
from app.operations.backfill import RETENTION, Backfill, Backfilled
from app.operations.unhurried import UnhurriedStripe

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# Seconds between two looks whether the workers have made room.
LOOK_EVERY = 1.0


class Moment(click.ParamType[int]):
    """A time as `3d` (ago) or `2026-11-01` (UTC), in Unix seconds."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        if isinstance(value, int):
            return value
        age = re.fullmatch(r"([0-9]{1,6})([smhd])", str(value))
        if age is not None:
            return int(time.time()) - int(age[1]) * UNITS[age[2]]
        try:
            read = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a time: write 90m, 12h, 3d or 2026-11-01", param, ctx)
        return int((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp())


@click.command()
@click.option("--since", type=Moment(), help="From when on: 3d, or 2026-11-01 (UTC).")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def backfill(since: int | None, as_json: bool) -> None:
    """Take from Stripe's event list what neither the ledger nor the queue has.

    Goes on from where the last one came to, or from --since; Stripe keeps events for 30 days. What
    is missing goes the way of a delivery, so workers have to run. Dead letters stay where they are:
    `dlq replay` is for them. May be broken off, and run twice. The clock does the same every five
    minutes.
    """
    with stores() as opened, bar("Backfill") as shown:
        settings = opened.settings
        run = Backfill(
            UnhurriedStripe(opened.stripe(), shown.say),
            opened.ledger,
            opened.queue("events"),
            opened.queue("effects"),
            metadata_keys=settings.reference_metadata_keys,
            livemode=settings.livemode,
            now=time.time,
            tell=shown.say,
        )
        result = follow(run, since, shown)
    click.echo(json.dumps(asdict(result)) if as_json else told(result, since))


def follow(
    run: Backfill, since: int | None, shown: Bar, sleep: Callable[[float], None] = time.sleep
) -> Backfilled:
    """Go through to the end, and wait where the workers cannot follow."""
    result = Backfilled(0, 0, 0)
    for result in run.steps(since):
        found = f"{result.missing} missing of {result.events}, up to {moment(result.reached)}"
        shown.show(found, result.reached - result.since, result.until - result.since)
        waiting = False
        while run.crowded():
            if not waiting:
                shown.say("The queue is long: waiting until the workers have made room.")
            waiting = True
            sleep(LOOK_EVERY)
    return result


def told(result: Backfilled, since: int | None) -> str:
    """The summary for people."""
    lines = [
        f"{result.missing} of Stripe's {result.events} events since {moment(result.since)} UTC "
        "were missing" + (", and are queued now." if result.missing else ".")
    ]
    if result.unreadable:
        lines.append(f"{result.unreadable} could not be read and were left out.")
    if since is not None and result.since > since + RETENTION // 30:
        lines.append("Stripe keeps events for 30 days. For what is older: `import`.")
    return "\n".join(lines)
