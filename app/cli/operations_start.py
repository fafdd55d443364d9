"""`identity operations start`: preview, ask, and write the operation for the workers."""

from __future__ import annotations

import json
import secrets
import time
from typing import Any, cast

import click

from app.cli.audited import audited
from app.cli.dlq_options import chosen_queue, selection_options, target_of
from app.cli.operations_output import difference_as_json, show_difference, show_preview
from app.cli.stores import environment_stores
from app.cli.who import user_name
from app.ledger.operations import Kind, Operation
from app.operations.bulk.preview import preview_operation
from app.operations.bulk.selection import LetterSet
from app.operations.bulk.start import MIN_RATE, SetChanged, start_operation
from app.operations.dlq.selection import Selection
from app.stores import Stores


@click.command()
@click.argument("kind", type=click.Choice(["replay", "discard"]))
@click.argument("ids", nargs=-1)
@selection_options
@click.option("--why", help="The reason in words; a discard's is shown in the timeline.")
@click.option("--rate", type=click.FloatRange(min=MIN_RATE), help="Letters a second at most.")
@click.option("--digest", help="Start just what an earlier preview has shown, or nothing.")
@click.option("--dry-run", is_flag=True, help="Show the preview and its digest; start nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def start(
    kind: str, ids: tuple[str, ...], selection: Selection, queue: str | None, **options: Any
) -> None:
    """Have the workers replay or discard dead letters: those of IDS, or all that match the filters.

    Shows first what would change, by user, and asks. What starts is what was shown: if letters have
    come or gone meanwhile, nothing starts, and you see the difference. No letter is done twice.
    `operations stop` stops it.

    Exit code 1 if nothing was started.
    """
    if ids and selection != Selection():
        raise click.UsageError("name the letters by id or by filters, not by both")
    if kind == "discard" and not ids and selection == Selection():
        raise click.UsageError("name the letters by id, or by a filter such as --reason")
    why = (options.pop("why") or "").strip()
    if not (why or options["dry_run"]):
        raise click.UsageError("--why needs a reason: it is kept with the operation")
    with environment_stores() as stores:
        letters = LetterSet(chosen_queue(stores, queue, ids), selection, tuple(dict.fromkeys(ids)))
        _preview_and_start(stores, cast(Kind, kind), letters, why, **options)


def _preview_and_start(
    stores: Stores,
    kind: Kind,
    letters: LetterSet,
    why: str,
    *,
    digest: str | None,
    rate: float | None,
    **options: bool,
) -> None:
    as_json = options["as_json"]
    if digest is None or options["dry_run"] or not options["yes"]:
        preview = preview_operation(stores, kind, letters, time.time())
        if not as_json:
            show_preview(preview)
        if options["dry_run"]:
            click.echo(json.dumps(preview.as_json()) if as_json else "Nothing was started.")
            return
        if preview.total and not options["yes"]:
            question = f"{kind.capitalize()} {preview.total} dead letter(s) of {preview.hit}?"
            click.confirm(question, abort=True, err=True)
        digest = digest or preview.digest
    about = target_of(letters.ids, letters.filters)
    try:
        with audited(
            stores, "start_operation", reason=why, kind=kind, queue=letters.queue, **about
        ) as entry:
            operation = start_operation(
                stores,
                kind=kind,
                selection=letters,
                digest=digest,
                reason=why,
                rate=rate,
                who=user_name(),
                via="cli",
                now=time.time(),
                new_id=lambda: secrets.token_hex(6),
            )
            entry.about(operation=operation.id)
    except SetChanged as changed:
        _refuse(changed, as_json)
    else:
        _tell(operation, as_json)


def _refuse(changed: SetChanged, as_json: bool) -> None:
    if as_json:
        click.echo(difference_as_json(changed))
    else:
        show_difference(changed)
    raise SystemExit(1)


def _tell(operation: Operation, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(operation.as_json()))
        return
    click.echo(f"{operation.id} is started: {operation.kind} of {operation.total} dead letter(s).")
    click.echo(f"See `operations show {operation.id} --follow`.")
