"""`identity dlq replay`: put dead letters back into their queue, or preview what that changes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict

import click

from app.cli.audited import audited
from app.cli.dlq_options import (
    chosen_deferred,
    chosen_letters,
    chosen_queue,
    deferred_option,
    selection_options,
    target_of,
)
from app.cli.dlq_output import replay_summary, show_previews
from app.cli.output import progress_bar
from app.cli.stores import environment_stores
from app.domain.errors import Transient
from app.operations.dlq.documents import preview_as_json
from app.operations.dlq.preview import preview
from app.operations.dlq.replay import STALL_TIMEOUT, Replay, ReplayProgress
from app.operations.dlq.selection import FailedJob, Selection
from app.queue.model import EVENTS
from app.stores import Stores


@click.command()
@click.argument("ids", nargs=-1)
@selection_options
@deferred_option
@click.option("--dry-run", is_flag=True, help="Show what would change, by reference; do nothing.")
@click.option("--rate", type=click.FloatRange(min=0.1), help="Letters a second at most.")
@click.option("--json", "as_json", is_flag=True, help="JSON objects, one a line.")
def replay(
    ids: tuple[str, ...],
    selection: Selection,
    queue: str | None,
    deferred: bool,
    dry_run: bool,
    rate: float | None,
    as_json: bool,
) -> None:
    """Put dead letters back into the queue: those of IDS, or all that match the filters.

    With neither, all of the queue. Fix the cause first, and check with --dry-run. A replay never
    undoes a newer standing. It can be interrupted with Ctrl-C and run twice: what was put back
    goes on, and the next run takes the rest. Waits for the workers and reports the outcomes.

    With --deferred: what waits to be tried again is tried now, each once. It counts as one of its
    20 attempts.

    Exit code 1 if a letter failed again, no worker ran, or it was interrupted.
    """
    if deferred and selection.reason is not None:
        raise click.UsageError("--reason is for dead letters: what is deferred has died of none")
    with environment_stores() as stores:
        chosen = chosen_queue(stores, queue, ids)
        if dry_run and chosen != EVENTS.name:
            raise click.UsageError("--dry-run is for events: effects change no standing")
        total: int | None = None
        letters: Iterator[FailedJob]
        if deferred:
            letters = chosen_deferred(stores, chosen, ids, selection)
        else:
            letters, total = chosen_letters(stores, chosen, ids, selection)
        if dry_run:
            _preview(letters, stores, as_json)
            return
        run = Replay(stores.queue(chosen), stores.ledger, deferred=deferred, rate=rate)
        about = target_of(ids, selection)
        with audited(stores, "replay", queue=chosen, deferred=deferred or None, **about) as entry:
            every = not deferred and not ids and selection == Selection()
            # Nobody asks what is in them: reading them took 7 % of the time.
            all_ids = stores.dead_letters(chosen).ids()
            complete = _replay(run, all_ids if every else (job.id for job in letters), total)
            result = run.so_far
            entry.result = f"done: {replay_summary(result, chosen)}"
    click.echo(json.dumps(asdict(result)) if as_json else replay_summary(result, chosen))
    if not complete or result.failed_again or result.waiting:
        raise SystemExit(1)


def _replay(run: Replay, ids: Iterator[str], total: int | None) -> bool:
    """Replay with progress on standard error. False if it was interrupted, or no worker runs."""
    try:
        with progress_bar("Replaying", total) as bar:

            def report(so_far: ReplayProgress) -> None:
                ended = so_far.applied + so_far.unchanged + so_far.failed_again + so_far.deferred
                bar.update(f"{ended} ended of {so_far.replayed} put back", ended, total)

            run.report = report
            run.run(ids)
    except KeyboardInterrupt:
        click.echo("Broken off: what was put back goes on. Run it again for the rest.", err=True)
        return False
    except Transient as error:
        back = run.so_far.replayed
        raise click.ClickException(
            f"{error}. {back} put back; run it again for the rest."
        ) from None
    if run.so_far.stalled:
        click.echo(
            f"Nothing has ended for {STALL_TIMEOUT:.0f} s: does a worker run (`python -m workers`)?"
            " What was put back waits for one. Run it again for the rest.",
            err=True,
        )
    return not run.so_far.stalled


def _preview(letters: Iterator[FailedJob], stores: Stores, as_json: bool) -> None:
    count = 0

    def counted() -> Iterator[FailedJob]:
        nonlocal count
        for letter in letters:
            count += 1
            yield letter

    previews = list(preview(counted(), stores.ledger, int(time.time())))
    unreadable = count - sum(one.letters for one in previews)
    if as_json:
        for one in previews:
            click.echo(json.dumps(preview_as_json(one)))
    else:
        show_previews(previews)
    if unreadable:
        click.echo(f"{unreadable} letter(s) no version can read: they would fail again.", err=True)
