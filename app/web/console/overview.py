"""The first page: whether users are being verified, and if not, why, who is hit, what to press."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import NamedTuple
from urllib.parse import urlencode

from anyio import to_thread
from starlette.requests import Request
from starlette.routing import Route

from app.domain.funnel import Funnel
from app.domain.standing import ReferenceKey
from app.ledger.week import Week
from app.operations.dlq.preview import Preview, in_words
from app.operations.overview import needs
from app.operations.overview.needs import NAMES, Need
from app.operations.overview.overview import Hit, Overview
from app.web.console.broadcast import Broadcast
from app.web.console.console import Console
from app.web.console.page import View, page
from app.web.console.people import Person
from app.web.console.streams import stream
from app.web.console.verification_sessions import session_url

TITLE = " · Identity console"
# What to do about each need, and where; None: it begins with the user or session that is named.
ACTIONS = {
    needs.DEAD: ("Look and replay", "/console/dead-letters"),
    needs.DEFERRED: ("Look, or try now", "/console/deferred"),
    needs.ORPHANS: ("Claim", "/console/orphans"),
    needs.REVIEW: ("Review", None),
    needs.MISSING: ("Ask Stripe now", None),
    needs.REDACTIONS: ("Ask Stripe now", None),
    needs.GONE: ("Run `identity notify test`", None),
}
# The width of a chart's widest bar, of the units that its SVG has.
BAR = 200


def routes(console: Console) -> list[Route]:
    """`/console/` with its JSON, and `/console/live`."""
    overview = Overview(console.stores, console.now)
    first_page = FirstPage(console, overview)
    broadcast = Broadcast(first_page.read_live)

    def watch(request: Request, person: Person) -> AsyncGenerator[str, None]:
        return broadcast.watch()

    return [*page(console, "/", first_page.read), stream(console, "/live", watch)]


class FirstPage:
    """The page, and the parts of it that are live."""

    def __init__(self, console: Console, overview: Overview) -> None:
        """All viewers share the readings of `overview`."""
        self._console = console
        self._overview = overview

    def read(self, request: Request) -> View:
        """The page."""
        live, rest = self._overview.live(), self._overview.rest()
        told = (live.facts.redis_fault, live.facts.ledger_fault)  # by the verdict
        extra = {
            "live": live,
            "livemode": self._overview.livemode,
            "session_url": session_url,
            "needs": [_Shown.of(need) for need in rest.needs],
            "hit": None if rest.hit is None else _Users.of(rest.hit),
            "faults": [fault for fault in rest.faults if fault not in told],
            "week": rest.week,
            "charts": [] if rest.week is None else _charts(rest.week),
        }
        return View("overview.html", "Overview", self._overview.as_json(), extra)

    async def read_live(self) -> str:
        """An event with what is live, alike for all who watch."""
        return await to_thread.run_sync(self._live_event, limiter=self._console.limiter)

    def _live_event(self) -> str:
        live = self._overview.live()
        fragment = self._console.templates.fragment
        shown = {
            "title": f"{live.verdict}{TITLE}",
            "kind": live.verdict.kind,
            "sentence": live.verdict.sentence,
            "detail": live.verdict.detail,
            "stages": fragment("stages.html", live=live),
            "changes": fragment("changes.html", live=live, livemode=self._overview.livemode),
        }
        return f"event: overview\ndata: {json.dumps(shown)}\n\n"


class _Shown(NamedTuple):
    """A need as a row of the page."""

    need: Need
    name: str
    action: str
    path: str | None  # None: the action is not in the console

    @classmethod
    def of(cls, need: Need) -> _Shown:
        """The row, with the one action."""
        action, path = ACTIONS[need.kind]
        if need.kind in (needs.DEAD, needs.DEFERRED):
            of = {"queue": need.queue, "reason": need.reason if need.kind == needs.DEAD else None}
            path = f"{path}?{urlencode({name: value for name, value in of.items() if value})}"
        return cls(need, NAMES[need.kind], action, path)


class _User(NamedTuple):
    """A user of dead letters, as a row of the page."""

    reference: ReferenceKey
    letters: int
    now: str
    after: str
    changes: bool


class _Users(NamedTuple):
    """All of them that are shown."""

    rows: list[_User]
    more: bool

    @classmethod
    def of(cls, hit: Hit) -> _Users:
        """The rows."""
        return cls([_user(one) for one in hit.users], hit.more)


def _user(one: Preview) -> _User:
    reference = ReferenceKey(one.account, one.livemode, str(one.reference), one.purpose)
    return _User(reference, one.letters, in_words(one.before), in_words(one.after), one.changes)


class _Bar(NamedTuple):
    """A step of the way, and how wide its bar is."""

    name: str
    number: int
    width: float


class _Chart(NamedTuple):
    """How far users came in a length of time."""

    title: str
    bars: list[_Bar]
    funnel: Funnel


def _charts(week: Week) -> list[_Chart]:
    return [
        _chart("Last 24 hours", Funnel.of(week.day)),
        _chart("Last 7 days", Funnel.of(week.week)),
    ]


def _chart(title: str, funnel: Funnel) -> _Chart:
    steps = (
        ("created", funnel.created),
        ("submitted", funnel.submitted),
        ("verified", funnel.verified),
    )
    widest = max(number for _, number in steps) or 1
    bars = [_Bar(name, number, round(number / widest * BAR, 1)) for name, number in steps]
    return _Chart(title, bars, funnel)
