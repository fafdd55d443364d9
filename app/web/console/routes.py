"""All of the console under one roof: its pages, and what is true of every answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Match, Route, Router
from starlette.types import Receive, Scope, Send

from app.configuration.settings import Settings
from app.web.console import (
    audit,
    dead_letters,
    deferred,
    effects,
    find,
    health,
    operations,
    orphans,
    overview,
    references,
    replay,
    sign_in,
    single_sign_on,
    static_files,
    verification_sessions,
)
from app.web.console.answers import failed, not_signed_in
from app.web.console.console import Console
from app.web.console.people import RoleMissing
from app.web.console.protection import ProtectedAnswers

# The modules of the pages, each with its `routes`.
PAGES: tuple[ModuleType, ...] = (
    overview,
    sign_in,
    single_sign_on,
    static_files,
    find,
    references,
    verification_sessions,
    orphans,
    health,
    dead_letters,
    deferred,
    effects,
    replay,
    operations,
    audit,
)
# What the top of a page leads to, in this order, of what there is.
NAVIGATION = (
    ("/console/", "Overview"),
    ("/console/dead-letters", "Dead letters"),
    ("/console/deferred", "Deferred"),
    ("/console/orphans", "Orphans"),
    ("/console/effects", "Effects"),
    ("/console/operations", "Operations"),
    ("/console/audit", "Audit"),
    ("/console/health", "Health"),
)


class ConsoleRoutes(BaseRoute):
    """Every address under /console, as one route of the web application."""

    path = "/console"

    def __init__(self, console: Console, pages: Sequence[ModuleType] = PAGES) -> None:
        """`pages` are modules whose `routes(console)` gives routes."""
        self.console = console
        self.routes: list[Route] = [Route("/console", _home, methods=["GET"])]
        for module in pages:
            self.routes += module.routes(console)
        there = {route.path for route in self.routes}
        console.templates.navigation = [entry for entry in NAVIGATION if entry[0] in there]
        self._router = Router(self.routes, redirect_slashes=False)
        self._app = ProtectedAnswers(self._route)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whatever is under /console, with any method."""
        path: str = scope["path"] if scope["type"] == "http" else ""
        ours = path == self.path or path.startswith(self.path + "/")
        return (Match.FULL if ours else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._app(scope, receive, send)

    def close(self) -> None:
        """Give the stores' connections back."""
        self.console.stores.close()

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._router(scope, receive, send)
        except HTTPException as failure:
            answer = self._not_routed(Request(scope, receive), failure)
            await answer(scope, receive, send)

    def _not_routed(self, request: Request, failure: HTTPException) -> Response:
        """404 or 405, for whoever is signed in: a stranger is not told which pages there are."""
        try:
            if self.console.people.of(request) is None:
                return not_signed_in(self.console, request, as_json=False)
        except RoleMissing as missing:
            return failed(self.console, request, missing)
        return failed(self.console, request, failure)


def open_console(settings: Settings, now: Callable[[], float]) -> ConsoleRoutes:
    """The console of these settings. `now` gives Unix seconds."""
    return ConsoleRoutes(Console.of(settings, now))


async def _home(request: Request) -> Response:
    """To the first page, whose address ends with a slash."""
    return RedirectResponse("/console/", 303)
