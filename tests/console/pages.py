"""Every page of the console, by its route; and the routes, to find what is missing here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote

from starlette.routing import BaseRoute, Route

from app.web.console.routes import ConsoleRoutes
from tests.console.stock import LONG, SCRIPT

# What is no page: the stream, what stands in pages, and the one page for those who are nobody yet.
NO_PAGES = {
    "/console",
    "/console/live",
    "/console/sign-in",
    "/console/static/console.js",
    "/console/static/icon.svg",
    "/console/static/style.css",
}

# By route, addresses that together show all that the page can look like. Braces are `Site.ids`.
PAGES: Mapping[str, tuple[str, ...]] = {
    "/console/": ("/console/",),
    "/console/find": (
        "/console/find",
        "/console/find?q=nobody-knows",
        "/console/find?q=vs_unknown",
    ),
    "/console/references/{reference:reference}": (
        "/console/references/lena",
        "/console/references/often",
        "/console/references/exhausted",
        f"/console/references/{quote(SCRIPT, safe='')}",
        f"/console/references/{LONG}",
    ),
    "/console/sessions/{session_id}": (
        "/console/sessions/{session}",
        "/console/sessions/{orphan}",
        "/console/sessions/vs_broken_3",
    ),
    "/console/dead-letters": (
        "/console/dead-letters",
        "/console/dead-letters?reason=permanent_error",
        "/console/dead-letters?queue=effects",
    ),
    "/console/dead-letters/{id}": ("/console/dead-letters/{letter}",),
    "/console/preview": (
        "/console/preview?kind=replay&queue=events",
        "/console/preview?kind=discard&queue=events&reason=crashed_worker",
    ),
    "/console/deferred": ("/console/deferred",),
    "/console/orphans": ("/console/orphans", "/console/orphans?livemode=true"),
    "/console/effects": ("/console/effects",),
    "/console/operations": ("/console/operations",),
    "/console/operations/{id}": ("/console/operations/{operation}",),
    "/console/audit": ("/console/audit",),
    "/console/health": ("/console/health",),
}
ADDRESSES = tuple(address for addresses in PAGES.values() for address in addresses)


def paths(routes: Sequence[BaseRoute]) -> Iterator[str]:
    """The paths of all of the console's routes that answer to GET."""
    for route in routes:
        if isinstance(route, ConsoleRoutes):
            yield from paths(route.routes)
        elif isinstance(route, Route) and "GET" in (route.methods or ()):
            yield route.path


def name_of(address: str) -> str:
    """A short name of an address, for a test or a file."""
    kept = [sign if sign.isalnum() else "-" for sign in address.removeprefix("/console/")]
    return "".join(kept).strip("-")[:40] or "overview"
