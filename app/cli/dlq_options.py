"""Which dead letters a command is about: the options and ids that `dlq` commands share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import wraps
from typing import Any

import click

from app.domain.durations import parse_duration
from app.operations.dlq.selection import Selection
from app.queue.dead_letters import DeadLetter
from app.queue.model import EFFECTS, EVENTS
from app.stores import Stores

REASONS = ("permanent_error", "attempts_exhausted", "timed_out", "crashed_worker")


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
    default=EVENTS.name,
    show_default=True,
    help="Dead letters of Stripe's events, or of the effects that follow them.",
)


def selection_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the filters, which the command takes as one `selection`, and --queue."""

    @wraps(command)
    def with_selection(**options: Any) -> None:
        names = [field.name for field in fields(Selection)]
        selection = Selection(**{name: options.pop(name) for name in names})
        command(selection=selection, **options)

    wrapped: Callable[..., None] = with_selection
    for option in (
        click.option("--younger-than", type=Age(), help="Died at most this long ago: 2h."),
        click.option("--older-than", type=Age(), help="Died at least this long ago: 3d."),
        click.option("--session", help="Of this VerificationSession, vs_…"),
        click.option("--reference", help="Of this client_reference_id."),
        click.option("--status", help="Of a session with this status."),
        click.option("--reason", type=click.Choice(REASONS), help="Died for this reason."),
        queue_option,
    ):
        wrapped = option(wrapped)
    return wrapped


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
    if selection != Selection():
        raise click.UsageError("name the letters by id or by filters, not by both")
    found = {id: letters.find(id) for id in ids}
    missing = [id for id, letter in found.items() if letter is None]
    statuses = stores.queue(queue).statuses(missing)
    applied = stores.ledger.has_events(missing)
    unknown = [id for id in missing if strict or not (statuses[id] or id in applied)]
    if unknown:
        raise click.ClickException(f"not among the dead letters of {queue}: {', '.join(unknown)}")
    for id in missing:
        click.echo(f"{id} is dead no more ({statuses[id] or 'applied'}): left alone", err=True)
    dead = [letter for letter in found.values() if letter is not None]
    return iter(dead), len(dead)
