"""`identity sweep`: have Stripe asked now about sessions that no event has told of for long."""

from __future__ import annotations

import json
import time
from collections import Counter

import click

from app.cli.context import Stores, stores
from app.cli.terminal import Bar, bar
from app.operations.sweep import hand_over
from app.queue.model import effect_job

# Seconds between two looks at what is under way, and without any answer until we give up.
LOOK_EVERY = 0.2
STALLED = 60.0


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object: asked, done, …")
def sweep(as_json: bool) -> None:
    """Ask Stripe about every session that is due, and merge what it says.

    Due are those processing for over 15 minutes, those being redacted (hourly), and all that are
    open (daily). The clock does so by itself, some hundred a minute; this does all at once, by the
    effects worker: what a sweep finds is told to your system like any other change.
    Exit code 1 where some could not be asked about.
    """
    with stores() as opened, bar("Sweep") as shown:
        opened.stripe()
        outcomes, overdue = _sweep(opened, shown)
    if as_json:
        told = {name: outcomes[name] for name in ("asked", "done", "deferred", "failed", "waiting")}
        click.echo(json.dumps({**told, "redactions_overdue": overdue}))
    else:
        click.echo(_told(outcomes, overdue))
    if outcomes["failed"] or outcomes["waiting"]:
        raise SystemExit(1)


def _sweep(opened: Stores, shown: Bar) -> tuple[Counter[str], int]:
    outcomes: Counter[str] = Counter()
    queue, now = opened.queue("effects"), int(time.time())
    for rows in hand_over(opened.ledger, livemode=opened.settings.livemode, now=now):
        queue.accept_all([effect_job(row, now) for row in rows])
        opened.ledger.mark_enqueued([row.id for row in rows], now)
        outcomes["asked"] += len(rows)
        outcomes += _outcomes(opened, [row.id for row in rows], outcomes["done"], shown)
        if outcomes["waiting"]:
            break  # no worker runs: the rest stays due
    return outcomes, opened.ledger.upkeep.overdue_redactions(now)


def _outcomes(opened: Stores, ids: list[str], before: int, shown: Bar) -> Counter[str]:
    """Wait until each has ended, or none has for too long; how many ended how."""
    queue, moved = opened.queue("effects"), time.monotonic()
    found: Counter[str] = Counter()
    left = set(ids)
    while left and time.monotonic() - moved < STALLED:
        for id, status in queue.statuses(sorted(left)).items():
            if status not in ("queued", "started"):
                moved = time.monotonic()
                left.discard(id)
                found[{"failed": "failed", "scheduled": "deferred"}.get(status or "", "done")] += 1
        shown.show(f"{before + found['done']} answered", len(ids) - len(left), len(ids))
        if left:
            time.sleep(LOOK_EVERY)
    found["waiting"] = len(left)
    return found


def _told(outcomes: Counter[str], overdue: int) -> str:
    lines = [f"{outcomes['asked']} sessions were due; Stripe was asked about {outcomes['done']}."]
    if outcomes["deferred"]:
        lines.append(f"{outcomes['deferred']} are tried again later by themselves.")
    if outcomes["failed"]:
        lines.append(f"{outcomes['failed']} failed: `dlq list --queue effects` tells why.")
    if outcomes["waiting"]:
        lines.append(f"{outcomes['waiting']} still wait: does a worker run?")
    if overdue:
        lines.append(f"{overdue} redactions are not finished after Stripe's four days: ask Stripe.")
    return "\n".join(lines)
