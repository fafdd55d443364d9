"""Every error that the web process answers. Endpoints raise; here is what the caller is told.

The shape is Stripe's: https://docs.stripe.com/api/errors
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.domain.errors import (
    BadSignature,
    Conflict,
    IdempotencyKeyReused,
    Misconfigured,
    OtherAccount,
    Permanent,
    Transient,
    UnreadableEvent,
)
from app.logs import get_logger
from app.stripe.errors import StripeFailure
from app.telemetry import bugs
from app.web.body import BodyTooLarge, BodyTooSlow
from app.web.callers import ScopeMissing, call_of
from app.web.parameters import BadParameter
from app.web.references import UnknownReference
from app.web.request_ids import HEADER
from app.web.stripe_calls import UnreadableAnswer
from app.web.webhooks import DeliveryNotTaken, DeliveryTooLarge

log = get_logger("web")

# Seconds after which a caller may ask again: most outages of a store or of Stripe are short.
RETRY_AFTER = "5"
# Seconds after which a delivery may come again; Stripe follows a schedule of its own.
DELIVERY_RETRY_AFTER = "30"
# What the caller is told if a store is away, by the name of the route, which is its endpoint's.
STORE_AWAY = {
    "read_reference": "the ledger cannot be read",
    "redact_reference": "the ledger is away: try again",
}
STORE_AWAY_ELSEWHERE = "a store is away: try again"
# Read by Stripe's packages: whether to make the same call again.
SHOULD_RETRY = "Stripe-Should-Retry"
# Of Stripe's error, what its own clients read.
STRIPE_ERROR_FIELDS = ("type", "code", "param", "message")


def error(
    status: int,
    type: str,
    message: str,
    *,
    param: str | None = None,
    code: str | None = None,
    **headers: str,
) -> JSONResponse:
    """An answer of Stripe's error shape; `retry_after="5"` becomes the header Retry-After."""
    fields = {"type": type, "message": message, "param": param, "code": code}
    body = {name: value for name, value in fields.items() if value is not None}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return JSONResponse({"error": body}, status, named)


async def bad_parameter(request: Request, failure: BadParameter) -> Response:
    """400 that names the parameter."""
    return error(400, "invalid_request_error", str(failure), param=failure.param, code=failure.code)


async def body_too_large(request: Request, failure: BodyTooLarge) -> Response:
    """413. The rest of the body is still on the connection, so that is closed."""
    return error(413, "invalid_request_error", str(failure), connection="close")


async def body_too_slow(request: Request, failure: BodyTooSlow) -> Response:
    """408, and the connection is closed."""
    return error(408, "invalid_request_error", "the body did not come", connection="close")


async def delivery_refused(request: Request, failure: BadSignature | UnreadableEvent) -> Response:
    """400: Stripe did not sign it, or its event is not of the form that Stripe documents."""
    log.warning("delivery refused", status=400, error=str(failure))
    return error(400, "invalid_request_error", str(failure))


async def delivery_too_large(request: Request, failure: DeliveryTooLarge) -> Response:
    """413, with a line in the log: no event of Stripe's is that large."""
    log.warning("delivery refused", status=413, error=str(failure))
    return await body_too_large(request, failure)


async def delivery_not_taken(request: Request, failure: DeliveryNotTaken) -> Response:
    """503: Stripe delivers again."""
    log.error("delivery not taken", event_id=failure.event_id, error=str(failure))
    return error(503, "api_error", "the queue cannot take it", retry_after=DELIVERY_RETRY_AFTER)


async def unknown_reference(request: Request, failure: UnknownReference) -> Response:
    """404 that names the parameter."""
    return error(404, "invalid_request_error", str(failure), param="client_reference_id")


def scope_missing(failure: ScopeMissing) -> JSONResponse:
    """403: the token is good, but not for this."""
    return error(403, "invalid_request_error", str(failure))


async def not_permitted(request: Request, failure: ScopeMissing) -> Response:
    """The same, where only the call's parameters have shown what it needs."""
    return scope_missing(failure)


async def conflict(request: Request, failure: Conflict) -> Response:
    """409 with the code of what is in the way."""
    answer = error(409, "invalid_request_error", str(failure), code=failure.code)
    # Stripe's packages repeat a call that is answered 409, unless they are told that it is no use.
    answer.headers[SHOULD_RETRY] = "false"
    return answer


async def idempotency_key_reused(request: Request, failure: IdempotencyKeyReused) -> Response:
    """400 as Stripe answers it."""
    return error(400, "idempotency_error", str(failure))


async def misconfigured(request: Request, failure: Misconfigured) -> Response:
    """503 without a time to try again: the operator has to set what is missing."""
    return error(503, "api_error", str(failure))


async def other_account(request: Request, failure: OtherAccount) -> Response:
    """503 without a time to try again: the operator has to set the right key."""
    log.error("call refused", call=call_of(request.scope), error=str(failure))
    return error(503, "api_error", str(failure))


async def store_away(request: Request, failure: Transient | Permanent) -> Response:
    """503 in the words of the route."""
    message = STORE_AWAY.get(request.scope["route"].name, STORE_AWAY_ELSEWHERE)
    log.error("call failed", call=call_of(request.scope), error=str(failure))
    return error(503, "api_error", message, retry_after=RETRY_AFTER)


async def stripe_failure(request: Request, failure: StripeFailure) -> Response:
    """Stripe's own error with its status, except for what only the operator can correct."""
    # Stripe's own id, by which its dashboard finds the call, if it did answer.
    stripe_request_id = failure.answer.request_id
    log.warning(
        "Stripe did not do it",
        call=call_of(request.scope),
        error=str(failure),
        stripe_request_id=stripe_request_id,
    )
    answer = _answer_of(failure)
    if stripe_request_id:
        answer.headers[HEADER] = stripe_request_id
    return answer


def _answer_of(failure: StripeFailure) -> Response:
    status = failure.status
    if status is None or status < 400:  # under it: the page of a proxy
        return error(
            503, "api_error", "Stripe cannot be reached: try again", retry_after=RETRY_AFTER
        )
    if status == 401:
        return error(503, "api_error", "Stripe refuses our key: see STRIPE_API_KEY")
    body = {"type": "api_error", "message": str(failure)}
    for name, value in (failure.answer.error or {}).items():
        if name in STRIPE_ERROR_FIELDS and isinstance(value, str):
            body[name] = value
    answer = JSONResponse({"error": body}, status)
    if failure.answer.retry_after is not None:
        answer.headers["Retry-After"] = failure.answer.retry_after
    if failure.answer.should_retry is not None:
        answer.headers[SHOULD_RETRY] = failure.answer.should_retry
    return answer


async def unreadable_answer(request: Request, failure: UnreadableAnswer) -> Response:
    """503: it is Stripe's answer that is wrong, not what the caller sent."""
    log.error("Stripe's answer cannot be read", call=call_of(request.scope), error=str(failure))
    return error(503, "api_error", "Stripe's answer cannot be read", retry_after=RETRY_AFTER)


async def not_routed(request: Request, failure: HTTPException) -> Response:
    """404 and 405."""
    message = f"{request.method} has no such address here"
    answer = error(failure.status_code, "invalid_request_error", message)
    answer.headers.update(failure.headers or {})
    return answer


async def failed(request: Request, failure: Exception) -> Response:
    """500 for a fault of ours: its class goes to the log, its text to nobody."""
    error_class = type(failure).__name__
    log.error("request failed", call=call_of(request.scope), error_class=error_class)
    bugs.report(failure, call=call_of(request.scope))
    return error(500, "api_error", "this is a fault of ours, and is in the log")


# The nearest class of the exception decides. StripeFailure is nearer than Transient and Permanent.
EXCEPTION_HANDLERS: dict[type[Exception], Callable[[Request, Any], Awaitable[Response]]] = {
    BadParameter: bad_parameter,
    BodyTooLarge: body_too_large,
    BodyTooSlow: body_too_slow,
    BadSignature: delivery_refused,
    UnreadableEvent: delivery_refused,
    DeliveryTooLarge: delivery_too_large,
    DeliveryNotTaken: delivery_not_taken,
    UnknownReference: unknown_reference,
    ScopeMissing: not_permitted,
    Conflict: conflict,
    IdempotencyKeyReused: idempotency_key_reused,
    Misconfigured: misconfigured,
    OtherAccount: other_account,
    StripeFailure: stripe_failure,
    UnreadableAnswer: unreadable_answer,
    Transient: store_away,
    Permanent: store_away,
    HTTPException: not_routed,
    Exception: failed,
}
