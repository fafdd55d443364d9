"""`identity queue`: how both queues stand; `pause` and `resume` for their workers."""

from __future__ import annotations

import json
import time
from dataclasses import asdict

import click
from rich.table import Table

from app.cli.audited import audited
from app.cli.options import DURATION
from app.cli.output import printable, table_console
from app.cli.stores import environment_stores
from app.cli.who import user_at_host
from app.domain.durations import format_duration
from app.queue.backlog import Backlog, other_queues, read_backlog
from app.queue.model import EFFECTS, EVENTS
from app.queue.pausing import MAX_TEXT, describe_pause
from app.queue.pausing import pause as pause_workers
from app.queue.pausing import resume as resume_workers

WORKERS_WAIT = "Workers claim nothing until `queue resume`. Deliveries are accepted."


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object: paused, queues.")
@click.pass_context
def queue(context: click.Context, as_json: bool) -> None:
    """Show how both queues stand; pause and resume their workers.

    Without a command, it shows of each queue its workers, the jobs that are queued, in work,
    deferred (to be tried later) and dead, and for how long the first has been waiting.
    """
    if context.invoked_subcommand is not None:
        return
    with environment_stores(ledger=False) as stores:
        queues = {spec.name: read_backlog(stores.redis, spec) for spec in (EVENTS, EFFECTS)}
    paused = queues[EVENTS.name].pause
    if as_json:
        shown = {name: _as_json(backlog) for name, backlog in queues.items()}
        click.echo(json.dumps({"paused": paused and asdict(paused), "queues": shown}))
        return
    if paused is not None:
        click.echo(printable(describe_pause(paused)))
        click.echo(WORKERS_WAIT)
    table_console().print(_table(queues))


@queue.command()
@click.option("--reason", help=f"Why, in {MAX_TEXT} characters: shown and logged wherever it is.")
@click.option("--for", "duration", type=DURATION, help="Resume by itself after so long: 30m, 2h.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: paused.")
def pause(reason: str | None, duration: int | None, as_json: bool) -> None:
    """Have the workers of both queues claim nothing, until `queue resume`.

    Deliveries are accepted all the while, and wait. A worker notices within seconds, and ends what
    it has claimed. The clock goes on putting back what is due and what dead workers held, and
    does nothing else: it does not ask Stripe, nor change the ledger; a backfill or sweep that has
    begun ends first. The API of web is not paused.

    It is RQ's own suspension: other RQ applications in the same Redis database are paused as well.
    A second pause takes the place of the first. The reason and your name on this host are
    kept with it: put no personal data into the reason.
    """
    if reason is not None and not (reason.isprintable() and 1 <= len(reason) <= MAX_TEXT):
        raise click.BadParameter(
            f"has to have 1 to {MAX_TEXT} printable characters", param_hint="--reason"
        )
    with environment_stores(ledger=False) as stores, audited(stores, "pause", reason=reason):
        by = user_at_host()[:MAX_TEXT]
        note = pause_workers(
            stores.redis, reason=reason, by=by, now=int(time.time()), seconds=duration
        )
        others = other_queues(stores.redis)
    if as_json:
        click.echo(json.dumps({"paused": asdict(note)}))
        return
    click.echo(printable(describe_pause(note)))
    click.echo(WORKERS_WAIT)
    if others:
        names = printable(", ".join(others))
        click.echo(f"Other RQ queues in this Redis database are paused too: {names}", err=True)


@queue.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object: resumed, the pause.")
def resume(as_json: bool) -> None:
    """Have the workers claim again. It ends every pause, that of `rq suspend` too."""
    with environment_stores(ledger=False) as stores, audited(stores, "resume") as entry:
        ended = resume_workers(stores.redis)
        entry.changed = ended is not None
    if as_json:
        click.echo(json.dumps({"resumed": ended and asdict(ended)}))
    elif ended is None:
        click.echo("The workers were not paused.")
    else:
        click.echo(printable(f"resumed; they were {describe_pause(ended)}"))


def _as_json(backlog: Backlog) -> dict[str, object]:
    return {
        "workers": backlog.workers,
        **backlog.counts,
        "oldest_queued_seconds": round(backlog.oldest, 1),
        "completed": backlog.completed,
    }


def _table(queues: dict[str, Backlog]) -> Table:
    table = Table()
    for heading in ("queue", "workers", "queued", "in work", "deferred", "dead", "first waits"):
        table.add_column(heading, justify="left" if heading == "queue" else "right")
    for name, backlog in queues.items():
        counts = [backlog.counts[key] for key in ("queued", "started", "scheduled", "failed")]
        waits = format_duration(backlog.oldest) if backlog.counts["queued"] else "-"
        table.add_row(name, str(backlog.workers), *map(str, counts), waits)
    return table
