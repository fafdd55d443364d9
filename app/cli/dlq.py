"""`identity dlq`: see what failed, and replay or discard it."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields
from itertools import islice
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from app.cli.context import QUEUES, Stores, stores
from app.cli.letters import UNITS, show_previews, table_of, told_of
from app.cli.terminal import for_tables, plain
from app.domain.errors import Transient
from app.operations.discard import discard as discard_letters
from app.operations.preview import preview
from app.operations.replay import STALLED, Replay, Replayed
from app.operations.select_letters import Selection
from app.queue.dead_letters import DeadLetter, DeadLetters

REASONS = ("permanent_error", "attempts_exhausted", "timed_out", "crashed_worker")


class Age(click.ParamType[float]):
    """A length of time as `90s`, `15m`, `2h` or `3d`, in seconds."""

    name = "age"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"([0-9]{1,6})([smhd])", str(value))
        if match is None:
            self.fail(f"{value!r} is not an age: write 90s, 15m, 2h or 3d", param, ctx)
        return float(int(match[1]) * UNITS[match[2]])


of_queue = click.option(
    "--queue",
    type=click.Choice(list(QUEUES)),
    default="events",
    show_default=True,
    help="What died: Stripe's events, or what was to be done after one.",
)


def selecting(command: Callable[..., None]) -> Callable[..., None]:
    """The filters, which the command is given as one `selection`."""

    def with_selection(**options: Any) -> None:
        names = [field.name for field in fields(Selection)]
        selection = Selection(**{name: options.pop(name) for name in names})
        command(selection=selection, **options)

    with_selection.__name__ = command.__name__
    with_selection.__doc__ = command.__doc__
    with_selection.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]  # where click keeps the options of a function
    for option in (
        click.option("--younger-than", type=Age(), help="Died at most so long ago: 2h."),
        click.option("--older-than", type=Age(), help="Died at least so long ago: 3d."),
        click.option("--session", help="Of this VerificationSession, vs_…"),
        click.option("--reference", help="Of this client_reference_id."),
        click.option("--status", help="Whose session had this status."),
        click.option("--reason", type=click.Choice(REASONS), help="Died of this."),
        of_queue,
    ):
        with_selection = option(with_selection)
    return with_selection


@click.group()
def dlq() -> None:
    """See what failed for good, and replay or discard it.

    An event or effect comes here when time does not mend its failure, when it has failed 20 times,
    or when it kills its worker. Nothing is ever removed by itself.
    """


@dlq.command("list")
@selecting
@click.option("--limit", default=50, show_default=True, type=click.IntRange(0), help="Rows shown.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line: counts, letters.")
def list_letters(selection: Selection, queue: str, limit: int, as_json: bool) -> None:
    """Count the dead letters by reason, and show the newest.

    Next: `dlq show ID`, and `dlq replay --dry-run` once what broke is mended.
    """
    now = time.time()
    with stores() as opened:
        counts, shown = _read(opened.letters(queue), selection, limit, now)
    total = sum(counts.values())
    if as_json:
        click.echo(json.dumps({"total": total, "by_reason": dict(counts.most_common())}))
        for letter in shown:
            click.echo(json.dumps(asdict(letter)))
        return
    if not total:
        click.echo("No dead letters" + (" like that." if selection != Selection() else "."))
        return
    for reason, count in counts.most_common():
        click.echo(f"{count:>8}  {plain(reason)}")
    if shown:
        for_tables().print(table_of(shown, now))
    if total > len(shown):
        click.echo(f"The newest {len(shown)} of {total}.")


def _read(
    letters: DeadLetters, selection: Selection, limit: int, now: float
) -> tuple[Counter[str], list[DeadLetter]]:
    """How many there are of each reason, and the newest; in memory are only those."""
    if selection == Selection():
        return letters.count_by_reason(), list(islice(letters, limit))
    counts: Counter[str] = Counter()
    shown: list[DeadLetter] = []
    for letter in selection.of(letters, now):
        counts[letter.reason] += 1
        if len(shown) < limit:
            shown.append(letter)
    return counts, shown


@dlq.command()
@click.argument("id")
@of_queue
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show(id: str, queue: str, as_json: bool) -> None:
    """Show all that is known of one dead letter."""
    with stores() as opened:
        letter = opened.letters(queue).find(id)
        if letter is None:
            status = opened.queue(queue).statuses([id])[id]
            told = f": it is {status}" if status else ""
            raise click.ClickException(f"{id} is not among the dead letters of {queue}{told}")
    if as_json:
        click.echo(json.dumps(asdict(letter)))
        return
    for name, value in asdict(letter).items():
        if name != "payload":
            click.echo(f"{name:<16} {plain(str(value))}")
    click.echo("payload")
    for name, value in letter.payload.items():
        click.echo(plain(f"  {name:<18} {'-' if value is None else value}"))


@dlq.command()
@click.argument("ids", nargs=-1)
@selecting
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
    if dry_run and queue != "events":
        raise click.UsageError("--dry-run is for events: effects change no standing")
    with stores() as opened:
        letters, total = _chosen(opened, queue, ids, selection)
        if dry_run:
            _preview(letters, opened, as_json)
            return
        run = Replay(opened.queue(queue), opened.ledger, rate=rate)
        whole = _replay(run, letters, total)
    result = run.so_far
    click.echo(json.dumps(asdict(result)) if as_json else told_of(result, queue))
    if not whole or result.failed_again or result.waiting:
        raise SystemExit(1)


def _chosen(
    opened: Stores, queue: str, ids: tuple[str, ...], selection: Selection, strict: bool = False
) -> tuple[Iterator[DeadLetter], int | None]:
    """The letters meant, and how many they are where that is known without reading them all.

    An id that is dead no more is passed over, so that the same call may be made twice, unless
    `strict`. One that was never heard of is refused.
    """
    letters = opened.letters(queue)
    if not ids:
        total = len(letters) if selection == Selection() else None
        return selection.of(letters, time.time()), total
    if selection != Selection():
        raise click.UsageError("name the letters by id or by filters, not by both")
    found = {id: letters.find(id) for id in ids}
    missing = [id for id, letter in found.items() if letter is None]
    statuses = opened.queue(queue).statuses(missing)
    applied = opened.ledger.has_events(missing)
    unknown = [id for id in missing if strict or not (statuses[id] or id in applied)]
    if unknown:
        raise click.ClickException(f"not among the dead letters of {queue}: {', '.join(unknown)}")
    for id in missing:
        click.echo(f"{id} is dead no more ({statuses[id] or 'applied'}): left alone", err=True)
    dead = [letter for letter in found.values() if letter is not None]
    return iter(dead), len(dead)


def _replay(run: Replay, letters: Iterator[DeadLetter], total: int | None) -> bool:
    """Replay with progress on stderr. False where it was broken off."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}"))
    console = Console(stderr=True)
    try:
        with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
            task = progress.add_task("Replaying", total=total, told="")

            def tell(so_far: Replayed) -> None:
                ended = so_far.applied + so_far.unchanged + so_far.failed_again + so_far.deferred
                told = f"{ended} ended of {so_far.replayed} put back"
                progress.update(task, completed=ended, told=told)

            run.tell = tell
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


def _preview(letters: Iterator[DeadLetter], opened: Stores, as_json: bool) -> None:
    read: Counter[str] = Counter()

    def counted() -> Iterator[DeadLetter]:
        for letter in letters:
            read["letters"] += 1
            yield letter

    found = list(preview(counted(), opened.ledger))
    unreadable = read["letters"] - sum(one.letters for one in found)
    if as_json:
        for one in found:
            click.echo(json.dumps({**asdict(one), "changes": one.changes}))
    else:
        show_previews(found)
    if unreadable:
        click.echo(f"{unreadable} letter(s) no version can read: they would fail again.", err=True)


@dlq.command()
@click.argument("ids", nargs=-1)
@selecting
@click.option("--why", required=True, help="For the timeline: who will wonder about it later?")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def discard(
    ids: tuple[str, ...], selection: Selection, queue: str, why: str, yes: bool, as_json: bool
) -> None:
    """Remove dead letters for good: those of IDS, or all that the filters mean.

    The timeline keeps that it was done, when, and why. Asks first, and removes no more than it has
    counted; broken off with Ctrl-C, it may be run again.
    """
    if not ids and selection == Selection():
        raise click.UsageError("name the letters by id, or by a filter such as --reason")
    if not why.strip():
        raise click.UsageError("--why needs a reason: who reads the timeline will ask for it")
    with stores() as opened:
        counted = {letter.id for letter in _chosen(opened, queue, ids, selection, strict=True)[0]}
        if not counted:
            click.echo(json.dumps({"discarded": 0}) if as_json else "No dead letters like that.")
            return
        if not yes:
            click.confirm(f"Discard {len(counted)} dead letter(s) for good?", abort=True, err=True)
        # What has died since is not among those that were agreed to.
        letters = (letter for letter in opened.letters(queue) if letter.id in counted)
        gone = discard_letters(opened.queue(queue), opened.ledger, letters, why, int(time.time()))
    click.echo(json.dumps({"discarded": gone}) if as_json else f"{gone} discarded.")
