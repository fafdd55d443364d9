"""Replay and discard: what was chosen is previewed, pinned, given a reason, and then started."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.routing import Route

from app.domain.modes import mode_name
from app.domain.standing import ReferenceKey
from app.ledger.operations import Kind
from app.operations.bulk.preview import OperationPreview, preview_operation
from app.operations.bulk.selection import MAX_IDS, LetterSet, Pin
from app.operations.bulk.start import MAX_REASON, MIN_RATE, SetChanged, start_operation
from app.operations.dlq.preview import Preview, in_words
from app.web.console.console import Console
from app.web.console.filters import (
    BadFilter,
    address,
    choice_in,
    filters_in,
    queue_in,
    selection_in,
)
from app.web.console.page import Done, Form, Refused, View, action, confirmed, page
from app.web.console.people import Person, Role

KINDS: tuple[Kind, ...] = ("replay", "discard")
# What is discarded is gone for good.
ROLES: Mapping[Kind, Role] = {"replay": Role.OPERATE, "discard": Role.REDACT}
NOTHING_TYPED: Mapping[str, str] = {}
EVERY = "every"  # what `count` says where a person will wait until all letters are read


def routes(console: Console) -> list[Route]:
    """The preview, and the start of what was previewed."""
    return [
        *page(console, "/preview", lambda request: show_preview(console, request)),
        action(
            console,
            "/operations/start",
            "start_operation",
            lambda request, form, person: start(console, form, person),
            role=Role.OPERATE,
        ),
    ]


def show_preview(console: Console, request: Request) -> View:
    """What the operation would change, user by user. Raises BadFilter."""
    given = request.query_params
    kind = choice_in(given, "kind", KINDS)
    chosen = letter_set_in(given, given.getlist("id"))
    every = given.get("count") == EVERY
    found = preview_operation(console.stores, kind, chosen, console.now(), every=every)
    return view_of(found, given)


def start(console: Console, form: Form, person: Person) -> Done:
    """Start what was previewed; where its letters have changed since, show a new preview.

    Raises RoleMissing, BadFilter, NotConfirmed and what `start_operation` does.
    """
    given = Form(parse_qsl(form["chosen"]))
    kind = choice_in(given, "kind", KINDS)
    person.require(ROLES[kind])
    chosen = letter_set_in(given, given.getlist("id"))
    digest = form["digest"]
    if kind == "discard":
        if chosen.all:
            raise BadFilter("to discard, name the letters by id, or by a filter such as reason")
        confirmed(form, str(Pin.parse(digest).total))
    try:
        operation = start_operation(
            console.stores,
            kind=kind,
            selection=chosen,
            digest=digest,
            reason=form.get("reason", ""),
            rate=rate_in(form.get("rate", "")),
            who=person.name,
            via="console",
            now=console.now(),
            new_id=lambda: secrets.token_hex(6),
        )
    except SetChanged as changed:
        view = view_of(changed.preview, given, typed=form, changed=changed)
        raise Refused(str(changed), view) from None
    target = {"operation": operation.id, "kind": kind, "queue": chosen.queue}
    return Done(f"/console/operations/{operation.id}", target, operation.reason)


def letter_set_in(given: Mapping[str, str], ids: Sequence[str]) -> LetterSet:
    """The letters that were ticked, or all that match the filters. Raises BadFilter."""
    selection = selection_in(given)
    if not ids:
        return LetterSet(queue_in(given), selection)
    if len(ids) > MAX_IDS:
        raise BadFilter(f"choose {MAX_IDS:,} letters at most, or all by a filter")
    if filters_in(given):
        raise BadFilter("name the letters by id or by filters, not by both")
    return LetterSet(queue_in(given), ids=tuple(dict.fromkeys(ids)))


def rate_in(text: str) -> float | None:
    """Letters a second; None for an empty field. Raises BadFilter."""
    if not text.strip():
        return None
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not MIN_RATE <= rate < math.inf:
        raise BadFilter(f"the rate is a number of letters a second, {MIN_RATE} at least")
    return rate


def view_of(
    preview: OperationPreview,
    given: Mapping[str, str],
    typed: Mapping[str, str] = NOTHING_TYPED,
    changed: SetChanged | None = None,
) -> View:
    """The preview as a page; `given` is what was chosen, `typed` what the form has so far."""
    chosen = preview.selection
    words = {"queue": chosen.queue, **filters_in(given)}
    ids = {"id": ", ".join(chosen.ids)} if chosen.ids else {}
    pairs = [("kind", preview.kind), *words.items(), *(("id", id) for id in chosen.ids)]
    at_least = "" if preview.every_letter else "at least "
    return View(
        "preview.html",
        f"{preview.kind.title()} {at_least}{preview.total:,} dead letters of {chosen.queue}",
        preview.as_json(),
        {
            "preview": preview,
            "chosen": urlencode(pairs),
            "count_url": f"/console/preview?{urlencode([*pairs, ('count', EVERY)])}",
            "shown": {**words, **ids},
            "rows": [_row_of(one) for one in preview.changes],
            "changing": sum(one.changes for one in preview.changes),
            "changed": changed,
            "role": ROLES[preview.kind],
            "reason": typed.get("reason", ""),
            "rate": typed.get("rate", ""),
            "max_reason": MAX_REASON,
            "min_rate": MIN_RATE,
            "back_url": address("/console/dead-letters", dict(words)),
        },
        409 if changed else 200,
    )


def _row_of(one: Preview) -> dict[str, Any]:
    reference = one.reference
    return {
        "key": None
        if reference is None
        else ReferenceKey(one.account, one.livemode, reference, one.purpose),
        "mode": mode_name(one.livemode),
        "letters": one.letters,
        "before": in_words(one.before) if one.before else "none",
        "after": in_words(one.after) if one.after else "none",
        "changes": one.changes,
    }
