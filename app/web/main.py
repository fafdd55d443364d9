"""The web application, put together from settings."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.convertors import register_url_convertor
from starlette.middleware import Middleware
from starlette.routing import Route

from app.logs import configure
from app.queue.batching import EnqueueBatcher
from app.settings import WEB_NEEDS, Settings
from app.stores import open_async_events, open_stores
from app.stripe.signatures import WEBHOOK_PATH
from app.web.application import WebApplication
from app.web.authentication import RequireToken
from app.web.errors import EXCEPTION_HANDLERS
from app.web.health import Probes
from app.web.metrics import Metrics
from app.web.openapi import openapi
from app.web.references import ReferenceConvertor, References
from app.web.verification_sessions import VerificationSessions
from app.web.webhooks import StripeWebhook, log_taken, refuse

register_url_convertor("reference", ReferenceConvertor())


def create_app(settings: Settings, now: Callable[[], float] = time.time) -> Starlette:
    """The application. It connects at its first request; `now` gives Unix seconds.

    Raises Misconfigured if an address of the settings cannot be used.
    """
    # Deliveries and probes ask Redis from the event loop. All else is asked from threads.
    redis, events = open_async_events(settings)
    stores = open_stores(settings)
    batcher = EnqueueBatcher(events, report=log_taken)
    webhook = StripeWebhook(batcher, settings, now)
    references = References(stores, now)
    metrics = Metrics(stores, now)
    probes = Probes(events, stores.ledger)
    # On the routes, not around them: an unknown address is 404 and a wrong method 405 to everyone.
    token = [Middleware(RequireToken, tokens=settings.api_tokens)]
    one_reference = "/v1/references/{reference:reference}"

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await batcher.close()
        await redis.aclose()
        stores.close()

    app = WebApplication(
        webhook,
        routes=[
            Route(WEBHOOK_PATH, refuse, methods=["POST"]),
            *VerificationSessions(stores, now).routes(middleware=token),
            # Before the other, whose reference would take in the `/redact`.
            Route(
                one_reference + "/redact",
                references.redact_reference,
                methods=["POST"],
                middleware=token,
            ),
            Route(one_reference, references.read_reference, methods=["GET"], middleware=token),
            Route("/metrics", metrics.read_metrics, methods=["GET"], middleware=token),
            Route("/healthz", probes.healthz, methods=["GET"]),
            Route("/readyz", probes.readyz, methods=["GET"]),
            Route("/openapi.json", openapi, methods=["GET"]),
        ],
        exception_handlers=EXCEPTION_HANDLERS,
        lifespan=lifespan,
    )
    # Stripe follows no redirect: an address with a slash too many is answered 404.
    app.router.redirect_slashes = False
    return app


def from_environment() -> Starlette:
    """The factory that the server calls in each of its processes."""
    settings = Settings.from_environment(os.environ, needed=WEB_NEEDS)
    configure(settings.log_format)
    app = create_app(settings)
    # What is there by now stays, so no collection need look at it: that takes a tenth of a second,
    # in which no delivery is answered.
    gc.collect()
    gc.freeze()
    return app
