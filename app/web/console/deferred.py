"""`/console/deferred`: what waits to be tried again by itself, and to try it now."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from app.operations.dlq.documents import deferred_as_json, job_as_json
from app.operations.dlq.listing import find
from app.operations.dlq.selection import Selection
from app.operations.dlq.try_now import MAX_TRIED, try_matching, try_selected
from app.queue.deferred import DeferredJob
from app.queue.registry import moment_of
from app.web.console.console import Console
from app.web.console.dead_letters import ROWS, row_of
from app.web.console.filters import (
    QUEUES,
    BadFilter,
    address,
    filters_in,
    place_in,
    queue_in,
    selection_in,
    text_of,
)
from app.web.console.page import Done, Form, View, action, page
from app.web.console.people import Role

PATH = "/console/deferred"
NAME = "replay"  # as the audit has it of `dlq replay --deferred` too


def routes(console: Console) -> list[Route]:
    """The list, and trying some or all of it now."""
    return [
        *page(console, "/deferred", lambda request: list_deferred(console, request)),
        action(
            console,
            "/deferred/try-now",
            NAME,
            lambda request, form, person: try_now(console, form),
            role=Role.OPERATE,
        ),
    ]


def list_deferred(console: Console, request: Request) -> View:
    """The counts of each queue by the class of the error, and a page of what waits.

    Both queues unless one is named. Raises BadFilter.
    """
    given = request.query_params
    selection = _selection_in(given)
    queues = [queue_in(given)] if given.get("queue") else list(QUEUES)
    parts = [_part(console, queue, request, selection) for queue in queues]
    if len(parts) > 1:
        for part in parts:
            _shorten(part)
    return View(
        "deferred.html",
        "Deferred",
        {"queues": [part.pop("json") for part in parts]},
        {
            "parts": parts,
            "filters": filters_in(given),
            "selected": selection != Selection(),
            "queue": given.get("queue") or "",
            "queues": ("", *QUEUES),
            "most": MAX_TRIED,
            "tried": _number(given.get("tried", "")),
            "more": given.get("more") == "1",
        },
    )


def try_now(console: Console, form: Form) -> Done:
    """Put the chosen jobs, or the first MAX_TRIED that match, into the queue. Raises BadFilter."""
    queue, ids = queue_in(form), form.getlist("id")
    filters = filters_in(form)
    target: dict[str, str]
    if form.get("all"):
        done = try_matching(console.stores, queue, _selection_in(form), console.now())
        target = {"filters": _described(filters)}
    elif ids:
        done = try_selected(console.stores, queue, ids[:ROWS])
        target = {"ids": ", ".join(ids[:ROWS])}
    else:
        raise BadFilter("nothing was chosen: tick what is to be tried")
    told = {"tried": str(done.tried), "more": "1" if done.more else None}
    target |= {"queue": queue, "deferred": "true", "count": str(done.tried)}
    return Done(address(PATH, {"queue": queue, **told}), target)


def _selection_in(given: Any) -> Selection:
    if given.get("reason"):
        raise BadFilter("reason is for dead letters: what is deferred has died of none")
    return selection_in(given)


def _part(console: Console, queue: str, request: Request, selection: Selection) -> dict[str, Any]:
    waiting, now = console.stores.deferred(queue), console.now()
    summary = waiting.summarise()
    # A place is one queue's.
    after = place_in(request.query_params) if request.query_params.get("queue") else None
    found = find(waiting, selection, now, after=after, limit=ROWS)
    chosen = {"queue": queue, **filters_in(request.query_params)}
    return {
        "json": {
            **deferred_as_json(queue, summary),
            "jobs": [job_as_json(job, queue=queue) for job in found.jobs],
            "next": text_of(found.next),
        },
        "queue": queue,
        "all": {**chosen, "all": "1"},  # what is posted to have all of them tried
        "summary": summary,
        "rows": [_row_of(job, now) for job in found.jobs],
        "next_url": found.next and address(PATH, {**chosen, "after": text_of(found.next)}),
    }


def _shorten(part: dict[str, Any]) -> None:
    """Of one queue among others half as many are shown: a page stays as small as all others."""
    if len(part["rows"]) > ROWS // 2:
        part["rows"] = part["rows"][: ROWS // 2]
        part["next_url"] = address(PATH, {**part["all"], "all": None})


def _row_of(job: DeferredJob, now: float) -> dict[str, Any]:
    return {
        **row_of(job, now),
        "failing_for": max(0.0, now - moment_of(job.first_failed_at, now)),
        "next_try": max(0.0, moment_of(job.next_try_at, now) - now),
    }


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 6 else None


def _described(filters: dict[str, str]) -> str:
    # A reference may name a person, and the audit holds ids alone.
    return " ".join(f"{name}={text}" for name, text in filters.items() if name != "reference")
