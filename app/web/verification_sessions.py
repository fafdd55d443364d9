"""`/v1/verification_sessions`: Stripe's own calls, for the team's backend, with the rules built in.

Paths, parameters, statuses and errors are Stripe's: https://docs.stripe.com/api/identity
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from anyio import CapacityLimiter, to_thread
from starlette.datastructures import Secret
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.domain.errors import Conflict, Permanent, Transient, UnreadableEvent
from app.domain.event import ID, usable_reference
from app.logs import get_logger
from app.operations.start_verification import Start, StartVerification
from app.stripe_api import StripeApi, StripeFailure, StripeRefused, StripeUnavailable
from app.web.answers import BodyTooLarge, BodyTooSlow, error
from app.web.authentication import refuse_stranger
from app.web.parameters import (
    BadParameter,
    only,
    query_parameters,
    read_parameters,
    take_expand,
    take_flag,
)

log = get_logger("verification_sessions")

UPDATED = frozenset({"metadata", "options", "provided_details", "type", "expand"})
CREATED = UPDATED | {
    "client_reference_id",
    "verification_flow",
    "related_customer",
    "related_customer_account",
    "related_person",
    "return_url",
    "reverify",
}
LISTED = frozenset(
    {
        "client_reference_id",
        "created",
        "related_customer",
        "related_customer_account",
        "status",
        "limit",
        "starting_after",
        "ending_before",
        "expand",
    }
)
ENDED = frozenset({"expand"})
# Calls to Stripe at once: each holds a thread, for ten seconds at worst. Apart from the threads
# that read the ledger, so that a slow Stripe does not stop those.
CALLS_AT_ONCE = 20
# A session's secrets pass through here to the caller, and must stay nowhere on the way.
NO_STORE = {"Cache-Control": "no-store"}
# https://docs.stripe.com/api/idempotent_requests
LONGEST_IDEMPOTENCY_KEY = 255
# Of Stripe's error, what its own clients read: https://docs.stripe.com/api/errors
TOLD = ("type", "code", "param", "message")

Call = Callable[[], Mapping[str, Any]]


class VerificationSessions:
    """The endpoints, over Stripe's API and the ledger."""

    def __init__(
        self,
        stripe: StripeApi | None,
        starting: StartVerification | None,
        tokens: Sequence[Secret],
        livemode: bool,
        now: Callable[[], float],
    ) -> None:
        """`stripe` and `starting` are None where there is no API key; `livemode` is its mode."""
        self._stripe = stripe
        self._starting = starting
        self._tokens = tokens
        self._livemode = livemode
        self._now = now
        self._limiter = CapacityLimiter(CALLS_AT_ONCE)

    def routes(self) -> list[Route]:
        """Where each of them is."""
        base, one = "/v1/verification_sessions", "/v1/verification_sessions/{id}"
        return [
            Route(base, self._guarded(self._create), methods=["POST"]),
            Route(base, self._guarded(self._list), methods=["GET"]),
            Route(one, self._guarded(self._retrieve), methods=["GET"]),
            Route(one, self._guarded(self._update), methods=["POST"]),
            Route(one + "/cancel", self._guarded(self._cancel), methods=["POST"]),
            Route(one + "/redact", self._guarded(self._redact), methods=["POST"]),
        ]

    def _guarded(self, prepare: Callable[[Request, StripeApi], Any]) -> Callable[..., Any]:
        """The endpoint that reads a request, runs its call in a thread, and tells what came of it.

        `prepare` is a coroutine function that checks the parameters and gives the call.
        """

        async def endpoint(request: Request) -> Response:
            answer = refuse_stranger(request, self._tokens)
            if answer is None:
                answer = await self._answer(request, prepare)
            answer.headers.update(NO_STORE)
            return answer

        return endpoint

    async def _answer(
        self, request: Request, prepare: Callable[[Request, StripeApi], Any]
    ) -> Response:
        if self._stripe is None:
            return error(503, "api_error", "STRIPE_API_KEY is not set")
        try:
            call: Call = await prepare(request, self._stripe)
            return JSONResponse(await to_thread.run_sync(call, limiter=self._limiter))
        except Exception as failure:
            answer = _answer_to(failure)
            if answer is None:
                raise
            return answer

    async def _create(self, request: Request, stripe: StripeApi) -> Call:
        params = only(await read_parameters(request), CREATED)
        reverify = take_flag(params, "reverify")
        expand = take_expand(params)
        reference = usable_reference(params.get("client_reference_id"))
        if reference is None:
            raise BadParameter(
                "client_reference_id is required: 1 to 5,000 characters",
                param="client_reference_id",
                code="parameter_missing",
            )
        if not (params.get("type") or params.get("verification_flow")):
            raise BadParameter(
                "type or verification_flow is required", param="type", code="parameter_missing"
            )
        asked = Start(reference, params, account_of(request), self._livemode, reverify, expand)
        starting = self._starting

        def call() -> Mapping[str, Any]:
            if starting is None:
                raise BadParameter("STRIPE_API_KEY is not set")
            started = starting.start(asked, int(self._now()))
            return {**started.body, "resumed": started.resumed}

        return call

    async def _list(self, request: Request, stripe: StripeApi) -> Call:
        params = only(query_parameters(request), LISTED)

        def call() -> Mapping[str, Any]:
            page = stripe.list_sessions(params, account_of(request))
            return {
                "object": "list",
                "url": "/v1/verification_sessions",
                "has_more": page.has_more,
                "data": page.items,
            }

        return call

    async def _retrieve(self, request: Request, stripe: StripeApi) -> Call:
        expand = take_expand(only(query_parameters(request), ENDED))
        id, account = session_id_of(request), account_of(request)
        return lambda: stripe.fetch(id, account, expand).body

    async def _update(self, request: Request, stripe: StripeApi) -> Call:
        params = only(await read_parameters(request), UPDATED)
        id, account = session_id_of(request), account_of(request)
        return lambda: stripe.update(id, params, account, idempotency_key_of(request)).body

    async def _cancel(self, request: Request, stripe: StripeApi) -> Call:
        params = only(await read_parameters(request), ENDED)
        id, account = session_id_of(request), account_of(request)
        return lambda: stripe.end("cancel", id, params, account, idempotency_key_of(request)).body

    async def _redact(self, request: Request, stripe: StripeApi) -> Call:
        params = only(await read_parameters(request), ENDED)
        id, account = session_id_of(request), account_of(request)
        return lambda: stripe.end("redact", id, params, account, idempotency_key_of(request)).body


def session_id_of(request: Request) -> str:
    """The path's session. Raises BadParameter where it cannot be one."""
    id: str = request.path_params["id"]
    if not ID.match(id):
        raise BadParameter("that is not the id of a VerificationSession", param="session")
    return id


def account_of(request: Request) -> str:
    """The connected account that the call is for, "" for the team's own."""
    account = request.headers.get("stripe-account", "")
    if account and not ID.match(account):
        raise BadParameter("Stripe-Account has to be an acct_… id")
    return account


def idempotency_key_of(request: Request) -> str | None:
    """The caller's own key, which Stripe honours."""
    key = request.headers.get("idempotency-key")
    if key is not None and (not key.isascii() or len(key) > LONGEST_IDEMPOTENCY_KEY):
        raise BadParameter("Idempotency-Key has to be at most 255 ASCII characters")
    return key


def _answer_to(failure: Exception) -> Response | None:
    """What a failure is to the caller; None where it is a fault of ours."""
    if isinstance(failure, BadParameter):
        return error(
            400, "invalid_request_error", str(failure), param=failure.param, code=failure.code
        )
    if isinstance(failure, BodyTooLarge):
        return error(413, "invalid_request_error", "the body is too large", connection="close")
    if isinstance(failure, BodyTooSlow):
        return error(408, "invalid_request_error", "the body did not come", connection="close")
    if isinstance(failure, Conflict):
        return error(409, "invalid_request_error", str(failure), code=failure.code)
    if isinstance(failure, StripeRefused | StripeUnavailable):
        return _stripes_answer(failure, str(failure))
    if isinstance(failure, UnreadableEvent):
        log.error("Stripe's answer cannot be read", why=str(failure))
        return error(503, "api_error", "Stripe's answer cannot be read", retry_after="5")
    if isinstance(failure, Transient | Permanent):
        log.error("call failed", why=str(failure))
        return error(503, "api_error", "a store is away: try again", retry_after="5")
    return None


def _stripes_answer(failure: StripeFailure, told: str) -> Response:
    """Stripe's own error with its status, but for what only the operator can mend."""
    log.warning("Stripe did not do it", why=told)
    status = failure.status
    if status is None or status < 400:  # under it: a page of whoever stands in between
        return error(503, "api_error", "Stripe cannot be reached: try again", retry_after="5")
    if status == 401:
        return error(503, "api_error", "Stripe refuses our key: see STRIPE_API_KEY")
    kept = {"type": "api_error", "message": told}
    for name, value in (failure.error or {}).items():
        if name in TOLD and isinstance(value, str):
            kept[name] = value
    answer = JSONResponse({"error": kept}, status)
    if failure.retry_after is not None:
        answer.headers["Retry-After"] = failure.retry_after
    return answer
