"""`/console/effects`: what follows from a commit and is not done yet, by state and kind."""

from __future__ import annotations

from typing import Any, get_args
from urllib.parse import quote

from starlette.requests import Request
from starlette.routing import Route

from app.domain.snapshot import SessionKey
from app.ledger.outbox import OpenEffect, State
from app.operations.effect_page import effect_page
from app.web.console.console import Console
from app.web.console.filters import address, choice_in
from app.web.console.page import View, page
from app.web.console.verification_sessions import session_url

PATH = "/console/effects"
ROWS = 50
STATES: tuple[State, ...] = get_args(State)


def routes(console: Console) -> list[Route]:
    """The one page, with a list for each state."""
    return page(console, "/effects", lambda request: show_effects(console, request))


def show_effects(console: Console, request: Request) -> View:
    """The counts by state and kind, and a page of one state's effects. Raises Rejected."""
    given, now = request.query_params, console.now()
    state = choice_in(given, "state", STATES)
    shown = effect_page(
        console.stores.engine, state, after=given.get("after", ""), limit=ROWS, now=int(now)
    )
    following = {"state": state, "after": shown.next}
    return View(
        "effects.html",
        "Effects",
        shown.as_json(),
        {
            "rows": [_row_of(effect, now) for effect in shown.effects],
            "states": {name: address(PATH, {"state": name}) for name in STATES},
            "next_url": shown.next and address(PATH, following),
        },
    )


def _row_of(effect: OpenEffect, now: float) -> dict[str, Any]:
    return {
        "effect": effect,
        "late": now - effect.due,  # negative: it is not due yet
        "url": f"/console/dead-letters/{quote(effect.id, safe='')}",
        "session_url": session_url(SessionKey(effect.session_id, effect.account, effect.livemode)),
    }
