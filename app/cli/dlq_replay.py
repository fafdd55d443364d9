"""`identity dlq replay`: put dead letters back into their queue, or preview what that changes."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict

import click

from app.cli.dlq_options import chosen_letters, selection_options
from app.cli.dlq_output import replay_summary, show_previews
from app.cli.output import progress_bar
from app.cli.stores import environment_stores
from app.domain.errors import Transient
from app.operations.dlq.preview import preview
from app.operations.dlq.replay import STALLED, Replay, ReplayProgress
from app.operations.dlq.selection import Selection
from app.queue.dead_letters import DeadLetter
from app.queue.model import EVENTS
from app.stores import Stores


@click.command()
@click.argument("ids", nargs=-1)
@selection_options
@click.option("--dry-run", is_flag=True, help="Show what would change, by reference; do nothing.")
@click.option("--rate", type=click.FloatRange(min=0.1), help="Letters a second at most.")
@click.option("--json", "as_json", is_flag=True, help="JSON objects, one a line.")
def replay(
    ids: tuple[str, ...],
    selection: Selection,
    queue: str,
    dry_run: bool,
    rate: float | None,
    as_json: bool,
) -> None:
    """Put dead letters back into the queue: those of IDS, or all that the filters mean.

    With neither, all of the queue. Mend what broke first, and look with --dry-run. Replaying never
    takes a newer standing back, may be broken off with Ctrl-C, and may be run twice: what was put
    back goes on, and the next run takes the rest. Waits for the workers and tells what came of it.

    Exit code 1 where a letter failed again, no worker came, or it was broken off.
    """
    if dry_run and queue != EVENTS.name:
        raise click.UsageError("--dry-run is for events: effects change no standing")
    with environment_stores() as stores:
        letters, total = chosen_letters(stores, queue, ids, selection)
        if dry_run:
            _preview(letters, stores, as_json)
            return
        run = Replay(stores.queue(queue), stores.ledger, rate=rate)
        complete = _replay(run, letters, total)
    result = run.so_far
    click.echo(json.dumps(asdict(result)) if as_json else replay_summary(result, queue))
    if not complete or result.failed_again or result.waiting:
        raise SystemExit(1)


def _replay(run: Replay, letters: Iterator[DeadLetter], total: int | None) -> bool:
    """Replay with progress on standard error. False if it was interrupted, or no worker runs."""
    try:
        with progress_bar("Replaying", total) as bar:

            def report(so_far: ReplayProgress) -> None:
                ended = so_far.applied + so_far.unchanged + so_far.failed_again + so_far.deferred
                bar.update(f"{ended} ended of {so_far.replayed} put back", ended, total)

            run.report = report
            run.run(letters)
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
            f"Nothing came to an end for {STALLED:.0f} s: does a worker run (`python -m workers`)? "
            "What was put back waits for one. Run it again for the rest.",
            err=True,
        )
    return not run.so_far.stalled


def _preview(letters: Iterator[DeadLetter], stores: Stores, as_json: bool) -> None:
    read: Counter[str] = Counter()

    def counted() -> Iterator[DeadLetter]:
        for letter in letters:
            read["letters"] += 1
            yield letter

    found = list(preview(counted(), stores.ledger, int(time.time())))
    unreadable = read["letters"] - sum(one.letters for one in found)
    if as_json:
        for one in found:
            click.echo(json.dumps({**asdict(one), "changes": one.changes}))
    else:
        show_previews(found)
    if unreadable:
        click.echo(f"{unreadable} letter(s) no version can read: they would fail again.", err=True)
