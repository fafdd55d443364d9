"""`identity dlq list --deferred`: what waits to be tried again, why and since when."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from itertools import islice

import click

from app.cli.dlq_output import deferred_table
from app.cli.output import printable, table_console
from app.domain.durations import format_duration
from app.operations.dlq.documents import deferred_as_json, job_as_json
from app.operations.dlq.selection import Selection
from app.queue.deferred import MAX_COUNTED, DeferredJob, DeferredSummary
from app.queue.model import EFFECTS, EVENTS
from app.stores import Stores


def list_deferred(
    stores: Stores, selection: Selection, queue: str | None, limit: int, as_json: bool
) -> None:
    """Count what waits by reason, and show the first `limit` of each queue that match.

    The counts are of all that waits in the queue, whatever is selected.
    """
    if selection.reason is not None:
        raise click.UsageError("--reason is for dead letters: what is deferred has died of none")
    names = [queue] if queue else [EVENTS.name, EFFECTS.name]
    found = {name: stores.deferred(name).summarise() for name in names}
    if not as_json and not any(summary.count for summary in found.values()):
        click.echo("Nothing waits to be tried again.")
        return
    for name, summary in found.items():
        jobs = islice(selection.of(stores.deferred(name), time.time()), limit)
        if as_json:
            _print_json(name, summary, jobs)
        elif summary.count:
            _print(name, summary, list(jobs), selection != Selection())
    if not as_json:
        click.echo("Each is tried again by itself; `dlq replay --deferred` tries them now.")


def _print_json(queue: str, summary: DeferredSummary, jobs: Iterator[DeferredJob]) -> None:
    click.echo(json.dumps(deferred_as_json(queue, summary)))
    for job in jobs:
        click.echo(json.dumps(job_as_json(job, queue=queue)))


def _print(queue: str, summary: DeferredSummary, jobs: list[DeferredJob], selected: bool) -> None:
    of_all = "" if summary.complete else f", of the {MAX_COUNTED:,} that were looked at"
    click.echo(f"{summary.count} of {queue}{of_all}, for up to {format_duration(summary.seconds)}:")
    for reason in summary.reasons:
        click.echo(printable(f"{reason.count:>8}  {reason.error_class}: {reason.error}"))
    if jobs:
        table_console().print(deferred_table(jobs, time.time()))
    if selected:
        click.echo(f"{len(jobs)} like that.")
    elif len(jobs) < summary.count:
        click.echo(f"The next {len(jobs)} to be tried.")
