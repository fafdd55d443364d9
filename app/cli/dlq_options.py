"""Which dead letters a command is about: the options and ids that `dlq` commands share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, fields
from functools import wraps
from typing import Any

import click

from app.cli.audited import ids_of
from app.domain.durations import parse_duration
from app.operations.dlq.selection import Selection, queues_of_ids
from app.queue.dead_letters import DeadLetter
from app.queue.deferred import DeferredJob
from app.queue.model import EFFECTS, EVENTS
from app.queue.retry_policy import REASONS
from app.stores import Stores

# Filters that the audit names otherwise.
TARGETS = {"reason": "died_of", "session": "session_id"}


class Age(click.ParamType[float]):
    """A length of time as `90s`, `15m`, `2h` or `3d`, in seconds."""

    name = "age"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Parse the option; a usage error if it is not a length of time."""
        if isinstance(value, float):
            return value
        seconds = parse_duration(str(value))
        if seconds is None:
            self.fail(f"{value!r} is not an age: write 90s, 15m, 2h or 3d", param, ctx)
        return float(seconds)


queue_option = click.option(
    "--queue",
    type=click.Choice([EVENTS.name, EFFECTS.name]),
    help="Of Stripe's events, or of the effects that follow them; default: that of the ids, "
    f"or {EVENTS.name}.",
)
deferred_option = click.option(
    "--deferred", is_flag=True, help="Not what is dead, but what waits to be tried again by itself."
)


def selection_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the filters, which the command takes as one `selection`, and --queue."""

    @wraps(command)
    def with_selection(**options: Any) -> None:
        names = [field.name for field in fields(Selection)]
        selection = Selection(**{name: options.pop(name) for name in names})
        if selection.purpose is not None and selection.reference is None:
            raise click.UsageError("--purpose goes with --reference")
        command(selection=selection, **options)

    wrapped: Callable[..., None] = with_selection
    for option in (
        click.option("--younger-than", type=Age(), help="Failed last at most this long ago: 2h."),
        click.option("--older-than", type=Age(), help="Failed last at least this long ago: 3d."),
        click.option("--session", help="Of this VerificationSession, vs_…"),
        click.option("--purpose", help="Of this purpose of --reference (PURPOSE_METADATA_KEY)."),
        click.option("--reference", help="Of this client_reference_id."),
        click.option("--status", help="Of a session with this status."),
        click.option("--reason", type=click.Choice(REASONS), help="Died for this reason."),
        queue_option,
    ):
        wrapped = option(wrapped)
    return wrapped


def target_of(ids: Sequence[str], selection: Selection) -> dict[str, str]:
    """The letters that a command is about, as the audit names them."""
    if ids:
        return {"ids": ids_of(ids)}
    given = {name: value for name, value in asdict(selection).items() if value is not None}
    named = {
        TARGETS.get(name, name): value if isinstance(value, str) else f"{value:g}s"
        for name, value in given.items()
    }
    return named or {"letters": "all"}


def chosen_queue(stores: Stores, named: str | None, ids: Sequence[str] = ()) -> str:
    """The queue that is meant: the one that was named, else that of the ids, else `events`.

    Raises UsageError if the ids are of both queues.
    """
    if named is not None:
        return named
    queues = queues_of_ids(stores.redis, ids)
    if len(set(queues.values())) > 1:
        parts = [next(id for id in ids if queues[id] == q) for q in (EVENTS.name, EFFECTS.name)]
        raise click.UsageError(
            f"{parts[0]} is an event and {parts[1]} an effect: name those of one kind at a time"
        )
    return next(iter(queues.values()), EVENTS.name)


def other_queue(stores: Stores) -> str:
    """A line for who has named no queue, where effects have dead letters; else ""."""
    count = len(stores.dead_letters(EFFECTS.name))
    option = f"--queue {EFFECTS.name}"
    return f"{count} dead letter(s) of effects: add {option}." if count else ""


def chosen_letters(
    stores: Stores, queue: str, ids: tuple[str, ...], selection: Selection, strict: bool = False
) -> tuple[Iterator[DeadLetter], int | None]:
    """The letters of these ids or of the selection, and their number if it is known already.

    An id that is no longer a dead letter is skipped, so that a call can be repeated, unless
    `strict`. An unknown id is refused.
    """
    letters = stores.dead_letters(queue)
    if not ids:
        total = len(letters) if selection == Selection() else None
        return selection.of(letters, time.time()), total
    _refuse_both(selection)
    found = {id: letters.find(id) for id in ids}
    missing = [id for id, letter in found.items() if letter is None]
    statuses = stores.queue(queue).statuses(missing)
    applied = stores.ledger.has_events(missing)
    unknown = [id for id in missing if strict or not (statuses[id] or id in applied)]
    if unknown:
        raise click.ClickException(f"not among the dead letters of {queue}: {', '.join(unknown)}")
    for id in missing:
        if statuses[id] == "scheduled":
            told = f"{id} is tried again by itself: left alone (--deferred tries it now)"
        else:
            told = f"{id} is dead no more ({statuses[id] or 'applied'}): left alone"
        click.echo(told, err=True)
    dead = [letter for letter in found.values() if letter is not None]
    return iter(dead), len(dead)


def chosen_deferred(
    stores: Stores, queue: str, ids: tuple[str, ...], selection: Selection
) -> Iterator[DeferredJob]:
    """What waits to be tried again, of these ids or of the selection.

    An id that does not wait is skipped, and told.
    """
    jobs = stores.deferred(queue)
    if not ids:
        return selection.of(jobs, time.time())
    _refuse_both(selection)
    found = {id: jobs.find(id) for id in ids}
    statuses = stores.queue(queue).statuses([id for id, job in found.items() if job is None])
    for id, status in statuses.items():
        click.echo(f"{id} does not wait to be tried again ({status or 'not in Redis'})", err=True)
    return iter([job for job in found.values() if job is not None])


def _refuse_both(selection: Selection) -> None:
    if selection != Selection():
        raise click.UsageError("name the letters by id or by filters, not by both")
