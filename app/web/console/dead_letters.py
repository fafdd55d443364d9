"""`/console/dead-letters`: what failed for good, by reason, and all that is known of one."""

from __future__ import annotations

import math
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.routing import Route

from app.domain.snapshot import SessionKey
from app.domain.standing import ReferenceKey
from app.operations.dlq.documents import counts_as_json, job_as_json
from app.operations.dlq.listing import MAX_COUNTED, MAX_LOOKED, look
from app.operations.dlq.selection import FailedJob, Selection, age_of, queues_of_ids
from app.queue.dead_letters import DeadLetter
from app.queue.deferred import DeferredJob
from app.queue.registry import moment_of
from app.queue.retry_policy import REASONS
from app.web.console.console import Console
from app.web.console.filters import (
    QUEUES,
    address,
    filters_in,
    place_in,
    queue_in,
    selection_in,
    text_of,
)
from app.web.console.page import NotFound, View, page
from app.web.console.verification_sessions import session_url

PATH, PREVIEW = "/console/dead-letters", "/console/preview"
TIMES = ("first_failed_at", "last_failed_at", "next_try_at")
ADVICE = {
    "permanent_error": "Trying again does not help: read the error, mend it, replay.",
    "attempts_exhausted": "It failed 20 times over nine hours: mend what was away, replay.",
    "timed_out": "The job itself was too slow, twice: see in the error where it hung.",
    "crashed_worker": "Its worker died three times while running it: see the workers' log.",
}
ROWS = 50  # as many as `dlq list` shows


def routes(console: Console) -> list[Route]:
    """The list, and a letter's own page."""
    return [
        *page(console, "/dead-letters", lambda request: list_letters(console, request)),
        *page(console, "/dead-letters/{id}", lambda request: show_letter(console, request)),
    ]


def list_letters(console: Console, request: Request) -> View:
    """The counts by reason, and a page of the letters, newest first. Raises BadFilter."""
    given, now = request.query_params, console.now()
    queue, selection = queue_in(given), selection_in(given)
    letters = console.stores.dead_letters(queue)
    counted, found = look(letters, selection, now, after=place_in(given), limit=ROWS)
    chosen = {"queue": queue, **filters_in(given)}
    counts = counts_as_json(counted.total, counted.by_reason, complete=counted.complete)
    return View(
        "dead_letters.html",
        "Dead letters",
        {
            **counts,
            "letters": [job_as_json(letter) for letter in found.jobs],
            "next": text_of(found.next),
        },
        {
            "queue": queue,
            "queues": QUEUES,
            "filters": filters_in(given),
            "reasons": REASONS,
            "by_reason": [
                (reason, number, address(PATH, {**chosen, "reason": reason}))
                for reason, number in counted.by_reason.most_common()
            ],
            "advice": ADVICE,
            "selected": selection != Selection(),
            "first": not given.get("after"),
            "looked": MAX_LOOKED if selection != Selection() else MAX_COUNTED,
            "rows": [row_of(letter, now) for letter in found.jobs],
            "next_url": found.next and address(PATH, {**chosen, "after": text_of(found.next)}),
            "all_url": address(PREVIEW, {**chosen, "kind": "replay"}),
            "discard_url": address(PREVIEW, {**chosen, "kind": "discard"}),
        },
    )


def show_letter(console: Console, request: Request) -> View:
    """All that is known of a letter, or of what waits. Raises NotFound."""
    id = request.path_params["id"]
    queue = queues_of_ids(console.stores.redis, [id])[id]
    letters = console.stores.dead_letters(queue)
    found: DeadLetter | DeferredJob | None = letters.find(id)
    found = found or console.stores.deferred(queue).find(id)
    if found is None:
        status = console.stores.queue(queue).statuses([id])[id]
        suffix = f": it is {status}" if status else ""
        raise NotFound(f"{id} is not among the dead letters of {queue}{suffix}")
    chosen = {"queue": queue, "id": id}
    return View(
        "dead_letter.html",
        f"{'Dead letter' if isinstance(found, DeadLetter) else 'Deferred'} {id}",
        job_as_json(found, traceback=letters.traceback_of(id)),
        {
            "queue": queue,
            "dead": isinstance(found, DeadLetter),
            "row": row_of(found, console.now()),
            "times": {name: _moment(getattr(found, name, "")) for name in TIMES},
            "replay_url": address(PREVIEW, {**chosen, "kind": "replay"}),
            "discard_url": address(PREVIEW, {**chosen, "kind": "discard"}),
        },
    )


def _moment(text: str) -> float | None:
    """A time of a letter's in Unix seconds; None if another tool left none."""
    moment = moment_of(text, math.nan)
    return None if math.isnan(moment) else moment


def row_of(job: FailedJob, now: float) -> dict[str, Any]:
    """A letter as a table shows it: with its age in seconds, and whom it is about."""
    payload = job.payload
    session, reference = payload.get("session_id"), payload.get("reference")
    account, livemode = str(payload.get("account") or ""), bool(payload.get("livemode"))
    purpose = str(payload.get("purpose") or "")
    return {
        "job": job,
        "url": f"{PATH}/{quote(job.id, safe='')}",
        "age": age_of(job, now),
        "livemode": livemode if "livemode" in payload else None,
        "session": session,
        "session_url": session and session_url(SessionKey(str(session), account, livemode)),
        "reference": reference and ReferenceKey(account, livemode, str(reference), purpose),
    }
