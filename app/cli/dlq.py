"""`identity dlq`: see what failed, and replay or discard it."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from app.cli.context import QUEUES, stores
from app.domain.errors import QueueUnavailable
from app.operations.discard import discard as discard_letters
from app.operations.preview import Preview, preview
from app.operations.replay import Replay, Replayed
from app.operations.select_letters import Selection, age_of
from app.queue.dead_letters import DeadLetter, DeadLetters

REASONS = ("permanent_error", "attempts_exhausted", "timed_out", "crashed_worker")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


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
        click.option("--queue", type=click.Choice(list(QUEUES)), default="events"),
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
    counts: Counter[str] = Counter()
    shown: list[DeadLetter] = []
    with stores() as opened:
        for letter in selection.of(opened.letters(queue), now):
            counts[letter.reason] += 1
            if len(shown) < limit:
                shown.append(letter)
    total = sum(counts.values())
    if as_json:
        click.echo(json.dumps({"total": total, "by_reason": dict(counts.most_common())}))
        for letter in shown:
            click.echo(json.dumps(asdict(letter)))
        return
    console = Console()
    if not total:
        console.print("No dead letters" + (" like that." if selection != Selection() else "."))
        return
    for reason, count in counts.most_common():
        console.print(f"{count:>8}  {reason}")
    console.print(_table(shown, now))
    if total > len(shown):
        console.print(f"The newest {len(shown)} of {total}.")


def _table(letters: list[DeadLetter], now: float) -> Table:
    table = Table(box=None)
    for heading in ("id", "reason", "error", "tries", "age", "session", "reference"):
        table.add_column(heading, overflow="fold")
    for letter in letters:
        table.add_row(
            letter.id,
            letter.reason,
            letter.error_class,
            str(letter.attempts),
            _age(age_of(letter, now)),
            str(letter.payload.get("session_id", "")),
            str(letter.payload.get("reference") or "-")[:40],
        )
    return table


def _age(seconds: float) -> str:
    unit = next(unit for unit in ("d", "h", "m", "s") if seconds >= UNITS[unit] or unit == "s")
    return f"{int(seconds / UNITS[unit])}{unit}"


@dlq.command()
@click.argument("id")
@click.option("--queue", type=click.Choice(list(QUEUES)), default="events")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show(id: str, queue: str, as_json: bool) -> None:
    """Show all that is known of one dead letter."""
    with stores() as opened:
        letter = opened.letters(queue).find(id)
    if letter is None:
        raise click.ClickException(f"{id} is not among the dead letters of {queue}")
    if as_json:
        click.echo(json.dumps(asdict(letter)))
        return
    for name, value in asdict(letter).items():
        if name != "payload":
            click.echo(f"{name:<16} {value}")
    for name, value in letter.payload.items():
        click.echo(f"  {name:<18} {value}")


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

    Mend what broke first, and look with --dry-run. Replaying never takes a newer standing back, may
    be broken off, and may be run twice. Waits for the workers and tells what came of it.
    Exit code 1 where a letter failed again or no worker came.
    """
    with stores() as opened:
        letters = _chosen(opened.letters(queue), ids, selection)
        if dry_run:
            if queue != "events":
                raise click.UsageError("--dry-run is for events: effects change no standing")
            _show_previews(list(preview(letters, opened.ledger)), as_json)
            return
        total = _count(opened.letters(queue), ids, selection)
        result = _replay(Replay(opened.queue(queue), opened.ledger, rate=rate), letters, total)
    if as_json:
        click.echo(json.dumps(asdict(result)))
    else:
        click.echo(_told(result))
    if result.failed_again or result.waiting:
        raise SystemExit(1)


def _chosen(
    letters: DeadLetters, ids: tuple[str, ...], selection: Selection
) -> Iterator[DeadLetter]:
    if ids:
        found = {id: letters.find(id) for id in ids}
        missing = [id for id, letter in found.items() if letter is None]
        if missing:
            raise click.ClickException(f"not among the dead letters: {', '.join(missing)}")
        return (letter for letter in found.values() if letter is not None)
    return selection.of(letters, time.time())


def _count(letters: DeadLetters, ids: tuple[str, ...], selection: Selection) -> int | None:
    """How many letters are meant, where that is known without reading them all."""
    if ids:
        return len(ids)
    return len(letters) if selection == Selection() else None


def _replay(run: Replay, letters: Iterator[DeadLetter], total: int | None) -> Replayed:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}"))
    console = Console(stderr=True)
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        task = progress.add_task("Replaying", total=total, told="")

        def tell(so_far: Replayed) -> None:
            ended = so_far.applied + so_far.unchanged + so_far.failed_again + so_far.deferred
            progress.update(task, completed=ended, told=f"{ended} of {so_far.replayed} put back")

        run.tell = tell
        try:
            return run.run(letters)
        except KeyboardInterrupt:
            click.echo(
                "\nBroken off; what was put back goes on. Run it again for the rest.", err=True
            )
            return run.so_far
        except QueueUnavailable as error:
            raise click.ClickException(f"{error}. Run it again for the rest.") from None


def _told(result: Replayed) -> str:
    parts = [
        f"{result.applied} applied",
        f"{result.unchanged} unchanged",
        f"{result.failed_again} failed again",
    ]
    if result.deferred:
        parts.append(f"{result.deferred} are tried again later")
    if result.waiting:
        parts.append(f"{result.waiting} still waiting: does a worker run?")
    return f"{result.replayed} replayed: {', '.join(parts)}."


def _show_previews(previews: list[Preview], as_json: bool) -> None:
    if as_json:
        for found in previews:
            click.echo(json.dumps({**asdict(found), "changes": found.changes}))
        return
    table = Table(box=None)
    for heading in ("reference", "letters", "now", "then", ""):
        table.add_column(heading, overflow="fold")
    for found in previews:
        before, after = found.before, found.after
        table.add_row(
            "(no reference)" if found.reference is None else found.reference[:40],
            str(found.letters),
            before.status if before else "-",
            after.status if after else "-",
            "changes" if found.changes else "",
        )
    Console().print(table)
    changing = sum(found.changes for found in previews)
    click.echo(f"{changing} of {len(previews)} reference(s) would change. Nothing was done.")


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

    The timeline keeps that it was done, when, and why.
    """
    if not ids and selection == Selection():
        raise click.UsageError("name the letters by id, or by a filter such as --reason")
    with stores() as opened:
        found = _count_all(_chosen(opened.letters(queue), ids, selection))
        if not found:
            click.echo(json.dumps({"discarded": 0}) if as_json else "No dead letters like that.")
            return
        if not yes:
            click.confirm(f"Discard {found} dead letter(s) for good?", abort=True, err=True)
        letters = _chosen(opened.letters(queue), ids, selection)
        gone = discard_letters(opened.queue(queue), opened.ledger, letters, why, int(time.time()))
    click.echo(json.dumps({"discarded": gone}) if as_json else f"{gone} discarded.")


def _count_all(letters: Iterator[DeadLetter]) -> int:
    return sum(1 for _ in letters)
