"""`/console/effects`: what follows from a commit and is not done yet, by state and kind."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, get_args
from urllib.parse import quote

from starlette.requests import Request
from starlette.routing import Route

from app.domain.snapshot import SessionKey
from app.ledger.outbox import EffectPlace, OpenEffect, State, count_effects, list_effects
from app.web.console.console import Console
from app.web.console.filters import BadFilter, address, choice_in
from app.web.console.page import View, page
from app.web.console.verification_sessions import session_url

PATH = "/console/effects"
ROWS = 50
STATES: tuple[State, ...] = get_args(State)


def routes(console: Console) -> list[Route]:
    """The one page, with a list for each state."""
    return page(console, "/effects", lambda request: show_effects(console, request))


def show_effects(console: Console, request: Request) -> View:
    """The counts by state and kind, and a page of one state's effects. Raises BadFilter."""
    given, now = request.query_params, console.now()
    state = choice_in(given, "state", STATES)
    counts = count_effects(console.stores.engine, int(now))
    shown, following = list_effects(console.stores.engine, state, _place_in(given), ROWS)
    next = None if following is None else f"{following.at}~{following.id}"
    return View(
        "effects.html",
        "Effects",
        {
            "counts": [asdict(one) for one in counts],
            "state": state,
            "effects": [effect._asdict() for effect in shown],
            "next": next,
        },
        {
            "rows": [_row_of(effect, now) for effect in shown],
            "states": {name: address(PATH, {"state": name}) for name in STATES},
            "next_url": next and address(PATH, {"state": state, "after": next}),
        },
    )


def _row_of(effect: OpenEffect, now: float) -> dict[str, Any]:
    return {
        "effect": effect,
        "late": now - effect.due,  # negative: it is not due yet
        "url": f"/console/dead-letters/{quote(effect.id, safe='')}",
        "session_url": session_url(SessionKey(effect.session_id, effect.account, effect.livemode)),
    }


def _place_in(given: Any) -> EffectPlace | None:
    at, _, id = given.get("after", "").partition("~")
    if not at:
        return None
    if not (at.isascii() and at.isdigit() and len(at) <= 12) or "\0" in id:
        raise BadFilter("after is no place in this list: begin with its first page")
    return EffectPlace(int(at), id)
