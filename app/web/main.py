"""The web application, put together from settings."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.convertors import register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.ledger.engine import open_engine
from app.ledger.ledger import Ledger
from app.logs import configure, get_logger
from app.operations.start_verification import StartVerification
from app.queue.connection import open_async_redis, open_redis
from app.queue.jobs import AsyncJobQueue, JobQueue
from app.queue.model import EFFECTS, EVENTS
from app.settings import Settings
from app.stripe_api import open_stripe
from app.web.answers import error
from app.web.health import Readiness, healthz
from app.web.metrics import Metrics
from app.web.openapi import openapi
from app.web.redactions import RedactReference
from app.web.references import ReadReference, ReferenceConvertor
from app.web.verification_sessions import VerificationSessions
from app.web.webhooks import StripeWebhook

log = get_logger("web")

NEEDED = ("STRIPE_WEBHOOK_SECRET",)

register_url_convertor("reference", ReferenceConvertor())


def create_app(settings: Settings, now: Callable[[], float] = time.time) -> Starlette:
    """The application. It connects at its first request; `now` gives Unix seconds."""
    redis = open_async_redis(str(settings.redis_url), verify=settings.redis_verify)
    queue = AsyncJobQueue(redis, EVENTS)
    engine = open_engine(str(settings.database_url))
    ledger = Ledger(engine)
    webhook = StripeWebhook(queue, settings.webhook_secrets, settings.reference_metadata_keys, now)
    read_reference = ReadReference(ledger, settings.api_tokens, settings.livemode)
    # Calls to Stripe, their locks and the metrics run in threads, and so over another client.
    blocking = open_redis(str(settings.redis_url), verify=settings.redis_verify)
    effects = JobQueue(blocking, EFFECTS)
    sessions = _verification_sessions(settings, ledger, effects, now)
    redactable = None if settings.stripe_api_key is None else settings.livemode
    redact = RedactReference(ledger, effects, settings.api_tokens, redactable, now)
    metrics = Metrics(blocking, engine, settings.api_tokens, now)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await redis.aclose()
        blocking.close()
        ledger.close()

    app = Starlette(
        routes=[
            Route("/webhooks/stripe", webhook.__call__, methods=["POST"]),
            *sessions.routes(),
            Route("/v1/references/{reference:reference}/redact", redact.__call__, methods=["POST"]),
            Route("/v1/references/{reference:reference}", read_reference.__call__, methods=["GET"]),
            Route("/healthz", healthz, methods=["GET"]),
            Route("/metrics", metrics.__call__, methods=["GET"]),
            Route("/openapi.json", openapi, methods=["GET"]),
            Route("/readyz", Readiness(queue, ledger).__call__, methods=["GET"]),
        ],
        exception_handlers={HTTPException: refused, Exception: failed},
        lifespan=lifespan,
    )
    # Stripe follows no redirect: an address with a slash too many is told to be unknown.
    app.router.redirect_slashes = False
    return app


def _verification_sessions(
    settings: Settings, ledger: Ledger, effects: JobQueue, now: Callable[[], float]
) -> VerificationSessions:
    stripe = open_stripe(settings)
    starting = StartVerification(stripe, ledger, effects, settings.policy) if stripe else None
    return VerificationSessions(stripe, starting, settings.api_tokens, settings.livemode, now)


def from_environment() -> Starlette:
    """The factory that the server calls in each of its processes."""
    settings = Settings.from_environment(os.environ, needed=NEEDED)
    configure(settings.log_format)
    return create_app(settings)


async def refused(request: Request, exception: Exception) -> Response:
    """404 and 405 in the shape of every other error."""
    status = exception.status_code if isinstance(exception, HTTPException) else 500
    headers = dict(getattr(exception, "headers", None) or {})
    answer = error(status, "invalid_request_error", f"{request.method} has no such address here")
    answer.headers.update(headers)
    return answer


async def failed(request: Request, exception: Exception) -> Response:
    """A fault of ours: its class goes to the log, its text to nobody."""
    log.error("request failed", path=request.scope["route"].path, error=type(exception).__name__)
    return error(500, "api_error", "this is a fault of ours, and is in the log")
