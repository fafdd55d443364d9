"""`identity dlq discard`: remove dead letters for good."""

from __future__ import annotations

import json
import time

import click

from app.cli.audited import audited
from app.cli.dlq_options import chosen_letters, chosen_queue, selection_options, target_of
from app.cli.stores import environment_stores
from app.operations.dlq.discard import discard as discard_letters
from app.operations.dlq.selection import Selection


@click.command()
@click.argument("ids", nargs=-1)
@selection_options
@click.option("--why", required=True, help="The reason, for the timeline.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def discard(
    ids: tuple[str, ...],
    selection: Selection,
    queue: str | None,
    why: str,
    yes: bool,
    as_json: bool,
) -> None:
    """Remove dead letters for good: those of IDS, or all that match the filters.

    The timeline records when and why. Asks first, and removes only the letters that it counted.
    It can be interrupted with Ctrl-C and run again.
    """
    if not ids and selection == Selection():
        raise click.UsageError("name the letters by id, or by a filter such as --reason")
    if not why.strip():
        raise click.UsageError("--why needs a reason: the timeline shows it")
    with environment_stores() as stores, audited(stores, "discard", reason=why) as entry:
        chosen = chosen_queue(stores, queue, ids)
        entry.about(queue=chosen, **target_of(ids, selection))
        letters, _ = chosen_letters(stores, chosen, ids, selection, strict=True)
        counted = {letter.id for letter in letters}
        if not counted:
            entry.changed = False
            click.echo(json.dumps({"discarded": 0}) if as_json else "No dead letters like that.")
            return
        if not yes:
            click.confirm(f"Discard {len(counted)} dead letter(s) for good?", abort=True, err=True)
        # A letter that died after the count was not agreed to.
        agreed = (letter for letter in stores.dead_letters(chosen) if letter.id in counted)
        discarded = discard_letters(
            stores.queue(chosen), stores.ledger, agreed, why, int(time.time())
        )
        entry.result = f"done: {discarded} discarded"
    click.echo(json.dumps({"discarded": discarded}) if as_json else f"{discarded} discarded.")
