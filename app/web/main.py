"""The web application, put together from settings."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from anyio import to_thread
from starlette.applications import Starlette
from starlette.convertors import register_url_convertor
from starlette.middleware import Middleware
from starlette.routing import Route

from app.configuration.credentials import READ, REDACT, WRITE
from app.configuration.settings import LEDGER_NEEDS, WEB_NEEDS, Settings
from app.logs import configure
from app.outages import Outages
from app.queue.batching import EnqueueBatcher
from app.queue.confirming import Confirmer
from app.stores import open_async_events, open_durability, open_stores
from app.stripe.signatures import WEBHOOK_PATH
from app.telemetry import bugs
from app.telemetry.process import log_processors, open_traces
from app.web.announcing import announce
from app.web.application import WebApplication
from app.web.auditing import CallAudit
from app.web.authentication import TokenGate
from app.web.errors import EXCEPTION_HANDLERS
from app.web.health import Probes, healthz
from app.web.ignored import IgnoredEvents
from app.web.metrics.endpoint import Metrics
from app.web.openapi import openapi
from app.web.references import ReferenceConvertor, References
from app.web.refusals import Refusals
from app.web.request_ids import NamedRequests
from app.web.secret_use import SecretUse
from app.web.stripe_calls import StripeCalls
from app.web.traced import TracedWebhook
from app.web.verification_reports import VerificationReports
from app.web.verification_sessions import VerificationSessions
from app.web.webhooks import StripeWebhook, log_taken, refuse

if TYPE_CHECKING:
    from app.telemetry.spans import Spans
    from app.web.console.routes import ConsoleRoutes

register_url_convertor("reference", ReferenceConvertor())


def create_app(
    settings: Settings, now: Callable[[], float] = time.time, spans: Spans | None = None
) -> Starlette:
    """The application. It connects when it is started; `now` gives Unix seconds.

    `spans` record deliveries; None where traces are off.
    Raises Misconfigured if an address of the settings cannot be used.
    """
    # Deliveries and probes ask Redis from the event loop. All else is asked from threads.
    redis, events = open_async_events(settings)
    stores = open_stores(settings, spans=spans)
    durability = open_durability(settings, redis)
    confirmer = Confirmer(durability)
    batcher = EnqueueBatcher(events, report=log_taken, answer=confirmer.answer)
    ignored = IgnoredEvents(redis)
    outages = Outages()
    refusals = Refusals(redis, outages=outages)
    secrets = SecretUse(redis, now)
    taking = StripeWebhook if spans is None else partial(TracedWebhook, spans=spans)
    webhook = taking(
        batcher, settings, now, ignored.count, refusals.count, note_secret=secrets.note
    )
    calls = StripeCalls()
    references = References(stores, now)
    metrics = Metrics(stores, now)
    probes = Probes(events, stores.ledger, outages=outages)
    # On the routes, not around them: an unknown address is 404 and a wrong method 405 to everyone.
    gate = TokenGate(settings.api_tokens, refusals.count)
    console = _open_console(settings, now)
    audit = CallAudit(stores, now)
    one_reference = "/v1/references/{reference:reference}"

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        announced = asyncio.create_task(announce(events, durability))
        yield
        await batcher.close()
        await confirmer.close()
        announced.cancel()
        await durability.close()
        await ignored.close()
        await refusals.close()
        await secrets.close()
        await redis.aclose()
        stores.close()
        if console is not None:
            console.close()
        if spans is not None:
            await to_thread.run_sync(spans.stop)
        await to_thread.run_sync(bugs.stop)

    app = WebApplication(
        webhook,
        routes=[
            Route(WEBHOOK_PATH, refuse, methods=["POST"]),
            *VerificationSessions(stores, calls, now).routes(gate, audit),
            *VerificationReports(stores, calls).routes(gate, audit),
            # Before the last, whose reference would take in the `/redact` and `/refresh`.
            Route(
                one_reference + "/redact",
                references.redact_reference,
                methods=["POST"],
                middleware=[*audit.of("redact_reference"), *gate.requiring(REDACT)],
            ),
            Route(
                one_reference + "/refresh",
                references.refresh_reference,
                methods=["POST"],
                middleware=[*audit.of("refresh_reference"), *gate.requiring(WRITE)],
            ),
            Route(
                one_reference,
                references.read_reference,
                methods=["GET"],
                middleware=gate.requiring(READ),
            ),
            Route(
                "/metrics",
                metrics.read_metrics,
                methods=["GET"],
                middleware=gate.requiring(READ),
            ),
            Route("/healthz", healthz, methods=["GET"]),
            Route("/readyz", probes.readyz, methods=["GET"]),
            Route("/openapi.json", openapi, methods=["GET"]),
            *([] if console is None else [console]),
        ],
        exception_handlers=EXCEPTION_HANDLERS,
        lifespan=lifespan,
    )
    # Stripe follows no redirect: an address with a slash too many is answered 404.
    app.router.redirect_slashes = False
    return app


def create_console_app(settings: Settings, now: Callable[[], float] = time.time) -> Starlette:
    """The console by itself, for a process of its own. `now` gives Unix seconds.

    Raises Misconfigured if an address of the settings cannot be used.
    """
    from app.web.console.routes import open_console

    console = open_console(settings, now)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        console.close()
        await to_thread.run_sync(bugs.stop)

    app = Starlette(
        routes=[Route("/healthz", healthz, methods=["GET"]), console],
        middleware=[Middleware(NamedRequests)],
        exception_handlers=EXCEPTION_HANDLERS,
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


def _open_console(settings: Settings, now: Callable[[], float]) -> ConsoleRoutes | None:
    """The console; None where it is off. What it imports takes time and memory."""
    if not settings.console:
        return None
    from app.web.console.routes import open_console

    return open_console(settings, now)


def from_environment() -> Starlette:
    """The factory that the server calls in each of its processes."""
    settings = _begin(WEB_NEEDS, "web")
    app = create_app(settings, spans=open_traces(settings, "web"))
    _keep_all()
    return app


def console_from_environment() -> Starlette:
    """The same for processes that serve the console alone."""
    app = create_console_app(_begin(LEDGER_NEEDS, "console"))
    _keep_all()
    return app


def _begin(needed: Collection[str], part: str) -> Settings:
    settings = Settings.from_environment(os.environ, needed=needed)
    configure(settings.log_format, processors=log_processors(settings))
    bugs.start(settings.sentry_dsn, part)
    return settings


def _keep_all() -> None:
    # What is there by now stays, so no collection need look at it: that takes a tenth of a second,
    # in which no delivery is answered.
    gc.collect()
    gc.freeze()
