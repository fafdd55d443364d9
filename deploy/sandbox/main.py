"""The sandbox as an ASGI application."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from deploy.sandbox import (
    api,
    control,
    control_accounts,
    control_http,
    endpoint_api,
    page,
    storage,
    thin,
)
from deploy.sandbox.accounts import OWN
from deploy.sandbox.chaos import Chaos
from deploy.sandbox.clock import Clock
from deploy.sandbox.deliveries import Deliveries, Retries
from deploy.sandbox.endpoints import CONNECTED, SELF, Endpoint
from deploy.sandbox.gate import Gate
from deploy.sandbox.hosts import KnownHosts
from deploy.sandbox.ids import Ids
from deploy.sandbox.state import State
from deploy.sandbox.storage import StateFile

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True)
class Settings:
    """What a sandbox is told. `base_url` is where a browser finds it, `host` where it listens."""

    base_url: str = "http://127.0.0.1:12111"
    webhook: str | None = None
    secret: str | None = None
    seed: int | None = None
    state_file: Path | None = None
    host: str = "127.0.0.1"


def create_app(settings: Settings) -> Starlette:
    """Build the application, with the state file's contents.

    Raises storage.UnreadableState, or OSError if the state file cannot be opened.
    """
    stored = ""
    if settings.state_file is not None and settings.state_file.exists():
        stored = settings.state_file.read_text("utf-8")
    # A seed makes runs repeatable; the ids of a stored state must not be made again.
    seed = None if settings.seed is None else f"{settings.seed}:{len(stored)}"
    ids = Ids(random.Random(seed))
    state = State(Clock(), ids, settings.base_url)
    endpoints: dict[str, Endpoint] = {}
    if stored:
        storage.load(stored, state, endpoints)
    if settings.webhook is not None and settings.secret is not None:
        _set_webhook(endpoints, settings.webhook, settings.secret, ids, int(state.clock.now()))
    return _assemble(settings, state, endpoints, ids)


def _assemble(
    settings: Settings, state: State, endpoints: dict[str, Endpoint], ids: Ids
) -> Starlette:
    due = asyncio.Event()
    file = None
    if settings.state_file is not None:
        file = StateFile(settings.state_file, state, endpoints)

    def changed() -> None:
        due.set()
        if file is not None:
            file.touch()

    gate = Gate(state.clock, ids, state.accounts, changed)
    chaos = Chaos(randomness=random.Random(settings.seed))
    deliveries = Deliveries(endpoints, chaos, Retries(), changed)
    deliveries.resume(state.events.values())
    state.publish = deliveries.publish

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        loops = [deliveries.run(), _run_timers(state, due), *([file.run()] if file else [])]
        async with _running(loops):
            yield
        if file is not None:
            file.write()

    accounts = control_accounts.AccountControl(state.accounts, endpoints, state.clock, ids)
    controller = control.Control(state, gate, chaos, deliveries)
    return Starlette(
        routes=[
            *api.routes(api.Api(state), gate),
            *endpoint_api.routes(endpoint_api.EndpointApi(endpoints, state.clock, ids), gate),
            *thin.routes(thin.ThinApi(state, endpoints), gate),
            Route("/v1/{path:path}", gate.unknown, methods=_METHODS),
            Route("/v2/{path:path}", gate.unknown, methods=_METHODS),
            *control.routes(controller, changed),
            *control_accounts.routes(accounts, changed),
            Route("/_sandbox/{path:path}", control_http.unknown, methods=_METHODS),
            *page.routes(page.Page(state), changed),
            Route("/", _welcome),
        ],
        middleware=[
            Middleware(
                KnownHosts, names=[settings.host, urlsplit(settings.base_url).hostname or ""]
            )
        ],
        lifespan=lifespan,
    )


def _set_webhook(
    endpoints: dict[str, Endpoint], url: str, secret: str, ids: Ids, created: int
) -> None:
    """One endpoint in each mode, so that sessions of live keys send events too.

    One of an earlier start, at this address or with this secret, is changed: whoever listens at
    an address that is no longer ours must not be sent anything.
    """
    for livemode in (False, True):
        for endpoint in endpoints.values():
            same = endpoint.url == url or endpoint.secret == secret
            if same and endpoint.scope == (OWN, livemode):
                endpoint.url, endpoint.secret = url, secret
                break
        else:
            endpoint = Endpoint(ids.new("we"), url, secret, livemode, created)
            # As `stripe listen`: the events of connected accounts too.
            endpoint.events_from = [SELF, CONNECTED]
            endpoints[endpoint.id] = endpoint


async def _run_timers(state: State, due: asyncio.Event) -> None:
    """Finish what falls due; `due` says that there may be something new to wait for."""
    while True:
        due.clear()
        state.tick()
        next_due = state.next_due()
        wait = None if next_due is None else max(0.0, next_due - state.clock.now())
        try:
            await asyncio.wait_for(due.wait(), wait)
        except TimeoutError:
            continue


@asynccontextmanager
async def _running(loops: Iterable[Coroutine[None, None, None]]) -> AsyncIterator[None]:
    """Run the loops until the block ends."""
    tasks = [asyncio.create_task(loop) for loop in loops]
    for task in tasks:
        task.add_done_callback(_log_failure)
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _log_failure(task: asyncio.Task[None]) -> None:
    """Log a loop that failed: a sandbox that no longer delivers must not look healthy."""
    if not task.cancelled() and task.exception() is not None:
        logging.getLogger("uvicorn.error").error("the sandbox is broken", exc_info=task.exception())


async def _welcome(request: Request) -> Response:
    return PlainTextResponse(
        "A local Stripe Identity. Point STRIPE_API_BASE here; see /_sandbox/sessions.\n"
    )
