"""`/v1/verification_sessions`: Stripe's own calls, for the team's backend, with the rules built in.

Paths, parameters, statuses and errors are Stripe's: https://docs.stripe.com/api/identity
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from anyio import CapacityLimiter, to_thread
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.domain.errors import UnreadableEvent
from app.domain.fields import ID, usable_reference
from app.operations.start_verification import Start, StartVerification
from app.stores import Stores
from app.web.parameters import (
    BadParameter,
    query_parameters,
    read_parameters,
    reject_unknown,
    stripe_account,
    take_expand,
    take_flag,
)

UPDATE_PARAMETERS = frozenset({"metadata", "options", "provided_details", "type", "expand"})
CREATE_PARAMETERS = UPDATE_PARAMETERS | {
    "client_reference_id",
    "verification_flow",
    "related_customer",
    "related_customer_account",
    "related_person",
    "return_url",
    "reverify",
}
LIST_PARAMETERS = frozenset(
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
# For the calls that retrieve, cancel or redact one session.
EXPAND_ONLY = frozenset({"expand"})
# Calls to Stripe at once: each holds a thread, for ten seconds at worst. These are not the threads
# that read the ledger, so that a slow Stripe does not stop those.
CONCURRENCY = 20
# https://docs.stripe.com/api/idempotent_requests
MAX_IDEMPOTENCY_KEY = 255


class UnreadableAnswer(Exception):
    """Stripe's answer has a field that is not of the form it documents."""


class VerificationSessions:
    """The endpoints, over Stripe's API and the ledger.

    Each raises Misconfigured without an API key, BadParameter, StripeFailure and UnreadableAnswer.
    """

    def __init__(self, stores: Stores, now: Callable[[], float]) -> None:
        """`now` gives Unix seconds."""
        self._stores = stores
        self._now = now
        self._limiter = CapacityLimiter(CONCURRENCY)

    def routes(self, middleware: Sequence[Middleware]) -> list[Route]:
        """The routes of all endpoints, each behind `middleware`."""
        base, one = "/v1/verification_sessions", "/v1/verification_sessions/{id}"
        return [
            Route(base, self.create, methods=["POST"], middleware=middleware),
            Route(base, self.list_sessions, methods=["GET"], middleware=middleware),
            Route(one, self.retrieve, methods=["GET"], middleware=middleware),
            Route(one, self.update, methods=["POST"], middleware=middleware),
            Route(one + "/cancel", self.cancel, methods=["POST"], middleware=middleware),
            Route(one + "/redact", self.redact, methods=["POST"], middleware=middleware),
        ]

    async def create(self, request: Request) -> Response:
        """The reference's open session, or a new one; `resumed` says which.

        Raises also Conflict, QueueUnavailable and the ledger's errors.
        """
        starting = StartVerification(self._stores)
        params = reject_unknown(await read_parameters(request), CREATE_PARAMETERS)
        start = _start_of(request, params, livemode=self._stores.settings.livemode)

        def call() -> Mapping[str, Any]:
            started = starting.start(start, int(self._now()))
            return {**started.body, "resumed": started.resumed}

        return await self._answer(call)

    async def list_sessions(self, request: Request) -> Response:
        """One page of Stripe's list, newest first."""
        stripe = self._stores.require_stripe()
        params = reject_unknown(query_parameters(request), LIST_PARAMETERS)
        account = stripe_account(request)

        def call() -> Mapping[str, Any]:
            page = stripe.list_sessions(params, account)
            return {
                "object": "list",
                "url": "/v1/verification_sessions",
                "has_more": page.has_more,
                "data": page.items,
            }

        return await self._answer(call)

    async def retrieve(self, request: Request) -> Response:
        """The session, with a fresh `url` and `client_secret` if it is open."""
        stripe = self._stores.require_stripe()
        expand = take_expand(reject_unknown(query_parameters(request), EXPAND_ONLY))
        id, account = _session_id(request), stripe_account(request)
        return await self._answer(lambda: stripe.fetch(id, account, expand).body)

    async def update(self, request: Request) -> Response:
        """The session after the change."""
        stripe = self._stores.require_stripe()
        params = reject_unknown(await read_parameters(request), UPDATE_PARAMETERS)
        id, account, key = _session_id(request), stripe_account(request), _idempotency_key(request)
        return await self._answer(lambda: stripe.update(id, params, account, key).body)

    async def cancel(self, request: Request) -> Response:
        """The canceled session."""
        return await self._end("cancel", request)

    async def redact(self, request: Request) -> Response:
        """The session, whose redaction Stripe has begun."""
        return await self._end("redact", request)

    async def _end(self, how: Literal["cancel", "redact"], request: Request) -> Response:
        stripe = self._stores.require_stripe()
        params = reject_unknown(await read_parameters(request), EXPAND_ONLY)
        id, account, key = _session_id(request), stripe_account(request), _idempotency_key(request)
        return await self._answer(lambda: stripe.end(how, id, params, account, key).body)

    async def _answer(self, call: Callable[[], Mapping[str, Any]]) -> Response:
        """200 with what `call` returns, which runs in a thread."""
        try:
            return JSONResponse(await to_thread.run_sync(call, limiter=self._limiter))
        except UnreadableEvent as unreadable:
            raise UnreadableAnswer(str(unreadable)) from None


def _start_of(request: Request, params: dict[str, Any], *, livemode: bool) -> Start:
    """The start that the request asks for. Raises BadParameter in Stripe's wording."""
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
    return Start(reference, params, stripe_account(request), livemode, reverify, expand)


def _session_id(request: Request) -> str:
    """The path's session. Raises BadParameter if it cannot be one."""
    id: str = request.path_params["id"]
    if not ID.match(id):
        raise BadParameter("that is not the id of a VerificationSession", param="session")
    return id


def _idempotency_key(request: Request) -> str | None:
    """The caller's own key, which Stripe honours."""
    key = request.headers.get("idempotency-key")
    if key is not None and (not key.isascii() or len(key) > MAX_IDEMPOTENCY_KEY):
        raise BadParameter("Idempotency-Key has to be at most 255 ASCII characters")
    return key
