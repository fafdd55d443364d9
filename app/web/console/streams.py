"""What is live: a stream of events for `EventSource`, bounded in number and in length."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from app.web.console.answers import failed, not_signed_in
from app.web.console.console import Console
from app.web.console.people import Person, remember_person
from app.web.console.views import Busy
from app.web.ending import when_server_stops

# Streams of a process. Each is a connection and little more.
MAX_STREAMS = 200
# Of those, a person's: a wall of screens may be one, and must not be all.
OF_A_PERSON = 60
# Seconds after which a stream ends. The browser opens it again, and is asked who it is.
LASTS = 900.0
# Has nginx pass each event on at once.
HEADERS = {"X-Accel-Buffering": "no"}


def stream(
    console: Console, path: str, events: Callable[[Request, Person], AsyncGenerator[str, None]]
) -> Route:
    """`GET /console{path}`, for whoever is signed in: `events` gives the text of the events.

    The generator is closed when the browser goes, when LASTS seconds are over, and when the server
    stops, which does not wait for it.
    """
    opened = Counter[str]()  # by the person's name

    async def counted(request: Request, person: Person) -> AsyncIterator[str]:
        opened[person.name] += 1
        try:
            async for text in _until_end(request, events(request, person)):
                yield text
        finally:
            opened[person.name] -= 1

    async def live(request: Request) -> Response:
        try:
            person = console.people.of(request)
            if person is None:
                return not_signed_in(console, request, as_json=True)
            if opened.total() >= MAX_STREAMS or opened[person.name] >= OF_A_PERSON:
                raise Busy
            remember_person(request, person)
        except Exception as failure:
            return failed(console, request, failure, as_json=True)
        events_of_person = counted(request, person)
        return StreamingResponse(events_of_person, headers=HEADERS, media_type="text/event-stream")

    return Route("/console" + path, live, methods=["GET"])


async def _until_end(request: Request, events: AsyncGenerator[str, None]) -> AsyncIterator[str]:
    """Pass on what comes, until something ends it."""
    ending = asyncio.Event()
    when_server_stops(request.scope, ending.set)
    timer = asyncio.get_running_loop().call_later(LASTS, ending.set)
    ended = asyncio.create_task(ending.wait())
    following: asyncio.Task[str] | None = None
    try:
        while not ending.is_set():
            following = asyncio.ensure_future(anext(events))
            await asyncio.wait({following, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not following.done():
                return
            try:
                text = following.result()
            except StopAsyncIteration:
                return
            yield text
    finally:
        timer.cancel()
        ended.cancel()
        if following is not None and not following.done():
            following.cancel()  # and with it the generator, which is at work
        else:
            await events.aclose()
