"""A page, an action and a stream that do what a test asks for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable

from sqlalchemy import Engine, text
from starlette.requests import Request
from starlette.routing import Route

from app.domain.errors import Conflict
from app.ledger.engine import translates_errors
from app.web.console.console import Console
from app.web.console.page import Done, Form, NotFound, View, action, confirmed, page
from app.web.console.people import Person, Role
from app.web.console.streams import stream

PLANTED = "<script>alert('PLANTED')</script>"
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"

closed = threading.Event()


def routes(console: Console) -> list[Route]:
    """`/console/probe/{id}`, `/console/probe/{id}/press` and `/console/probe-live`."""
    before: dict[str, Callable[[], object]] = {
        "nothing": raising(NotFound("there is no such thing")),
        "fault": raising(ZeroDivisionError("PLANTED")),
        "redis": lambda: console.stores.events.statuses(["evt_1"]),
        "ledger": console.stores.ledger.ping,
        "slow": lambda: endless(console.stores.engine),
    }

    def read(request: Request) -> View:
        id = request.path_params["id"]
        before.get(id, lambda: None)()
        data = {"line": f"{id} {PLANTED}", "advice": "", "status": 200}
        return View("error.html", f"Probe {PLANTED}", data)

    return [
        *page(console, "/probe/{id}", read),
        action(console, "/probe/{id}/press", "press", press, role=Role.OPERATE),
        stream(console, "/probe-live", ticks),
    ]


def raising(failure: Exception) -> Callable[[], object]:
    """What raises it."""

    def fail() -> object:
        raise failure

    return fail


@translates_errors
def endless(engine: Engine) -> None:
    """A statement that has no end by itself."""
    with engine.connect() as connection:
        connection.execute(text(ENDLESS))


def press(request: Request, form: Form, person: Person) -> Done:
    """Done, unless the form asks for a failure."""
    if form.get("why") == "conflict":
        raise Conflict("in_the_way", "something is in the way")
    if form.get("why") == "fault":
        raise ZeroDivisionError("PLANTED")
    if "number" in form:
        confirmed(form, form["number"])
    return Done("/console/probe/1", {"pressed_by": person.name}, form["reason"])


async def ticks(request: Request, person: Person) -> AsyncGenerator[str, None]:
    """One event, and then nothing for ever; `closed` is set when it is not followed any more."""
    closed.clear()
    try:
        yield f"data: {person.name}\n\n"
        await asyncio.Event().wait()
    finally:
        closed.set()
