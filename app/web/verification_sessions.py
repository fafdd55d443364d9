"""`/v1/verification_sessions`: Stripe's own calls, for the team's backend, with the rules built in.

Paths, parameters, statuses and errors are Stripe's: https://docs.stripe.com/api/identity. What a
parameter means is read here only as far as our rules need it: what we do not know goes to Stripe,
which refuses what it does not know.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.configuration.credentials import READ, REDACT, WRITE
from app.configuration.settings import Settings
from app.domain.fields import PURPOSE_FORM, usable_reference
from app.domain.snapshot import MetadataKeys, read_purpose
from app.operations.apply import merge_answer
from app.operations.open_session import Start
from app.operations.start_verification import StartVerification
from app.stores import Stores
from app.stripe.client import Answer
from app.web.auditing import CallAudit, tell_audit
from app.web.authentication import TokenGate
from app.web.callers import log_call, require_scope
from app.web.parameters import (
    BadParameter,
    path_id,
    query_parameters,
    read_expand,
    read_parameters,
    stripe_account,
    take_expand,
    take_flag,
)
from app.web.stripe_calls import Passed, StripeCalls

# Ours, and Stripe's, so that Stripe's own packages can be pointed here.
BASES = ("/v1/verification_sessions", "/v1/identity/verification_sessions")
# https://docs.stripe.com/api/idempotent_requests
MAX_IDEMPOTENCY_KEY = 255
Endpoint = Callable[[Request], Awaitable[Response]]


class VerificationSessions:
    """The endpoints, over Stripe's API and the ledger.

    Each raises Misconfigured without an API key, BadParameter, ScopeMissing, StripeFailure and
    UnreadableAnswer.
    """

    def __init__(self, stores: Stores, calls: StripeCalls, now: Callable[[], float]) -> None:
        """`now` gives Unix seconds."""
        self._stores = stores
        self._calls = calls
        self._now = now

    def routes(self, gate: TokenGate, audit: CallAudit) -> list[Route]:
        """The routes of all endpoints, each behind `gate`, and recorded by `audit`."""
        return [route for base in BASES for route in self._routes_under(base, gate, audit)]

    def _routes_under(self, base: str, gate: TokenGate, audit: CallAudit) -> list[Route]:
        one = base + "/{id}"

        def get(path: str, endpoint: Endpoint, action: str) -> Route:
            middleware = [*audit.of(action, if_told=True), *gate.requiring(READ)]
            return Route(path, endpoint, methods=["GET"], middleware=middleware)

        def post(path: str, endpoint: Endpoint, action: str, scope: str = WRITE) -> Route:
            middleware = [*audit.of(action), *gate.requiring(scope)]
            return Route(path, endpoint, methods=["POST"], middleware=middleware)

        return [
            post(base, self.create, "create"),
            get(base, self.list_sessions, "list"),
            get(one, self.retrieve, "retrieve"),
            post(one, self.update, "update"),
            post(one + "/cancel", self.cancel, "cancel"),
            post(one + "/redact", self.redact, "redact", REDACT),
        ]

    async def create(self, request: Request) -> Response:
        """The reference's open session, or a new one; `resumed` says which.

        Raises also Conflict, IdempotencyKeyReused, QueueUnavailable and the ledger's errors.
        """
        starting = StartVerification(self._stores)
        params = await read_parameters(request)
        start = _start_of(request, params, self._stores.settings)
        user = {"reference": start.reference, "account": start.account, "purpose": start.purpose}
        tell_audit(request, **user)
        _permit_expand(request, start.expand, "create")

        def call() -> Passed:
            started = starting.start(start, int(self._now()))
            tell_audit(request, session_id=started.body["id"])
            return {**started.body, "resumed": started.resumed}, started.request_id

        return await self._calls.answer(call)

    async def list_sessions(self, request: Request) -> Response:
        """One page of Stripe's list, newest first."""
        stripe = self._stores.require_stripe()
        params = query_parameters(request)
        account = stripe_account(request)
        _permit_expand(request, read_expand(params), "list")
        # Stripe's packages ask there for the next page.
        url = request.scope["route"].path

        def call() -> Passed:
            page = stripe.list_sessions(params, account)
            body = {"object": "list", "url": url, "has_more": page.has_more, "data": page.items}
            return body, page.request_id

        return await self._calls.answer(call)

    async def retrieve(self, request: Request) -> Response:
        """The session, with a fresh `url` and `client_secret` if it is open."""
        stripe = self._stores.require_stripe()
        params = query_parameters(request)
        expand = take_expand(params)
        id, account = _session_id(request), stripe_account(request)
        _permit_expand(request, expand, "retrieve", id)
        return await self._calls.answer(
            lambda: self._passed(stripe.fetch(id, account, expand, params))
        )

    async def update(self, request: Request) -> Response:
        """The session after the change."""
        stripe = self._stores.require_stripe()
        params = await read_parameters(request)
        expand = read_expand(params)
        id, account, key = _session_id(request), stripe_account(request), _idempotency_key(request)
        tell_audit(request, session_id=id, account=account)
        _permit_expand(request, expand, "update", id)
        return await self._calls.answer(
            lambda: self._passed(stripe.update(id, params, account, key))
        )

    async def cancel(self, request: Request) -> Response:
        """The canceled session."""
        return await self._end("cancel", request)

    async def redact(self, request: Request) -> Response:
        """The session, whose redaction Stripe has begun."""
        return await self._end("redact", request)

    async def _end(self, how: Literal["cancel", "redact"], request: Request) -> Response:
        stripe = self._stores.require_stripe()
        params = await read_parameters(request)
        expand = read_expand(params)
        id, account, key = _session_id(request), stripe_account(request), _idempotency_key(request)
        tell_audit(request, session_id=id, account=account)
        _permit_expand(request, expand, how, id)
        log_call(request, how, session_id=id)
        return await self._calls.answer(
            lambda: self._passed(stripe.end(how, id, params, account, key))
        )

    def _passed(self, answer: Answer) -> Passed:
        """What the caller is answered, after the ledger has it; see `merge_answer`."""
        merge_answer(answer, self._stores, self._now())
        return answer.body, answer.request_id


def _start_of(request: Request, params: dict[str, Any], settings: Settings) -> Start:
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
    return Start(
        reference,
        params,
        stripe_account(request),
        settings.livemode,
        reverify,
        expand,
        _idempotency_key(request) or None,
        _purpose_of(params, settings.metadata_keys),
    )


def _purpose_of(params: dict[str, Any], metadata_keys: MetadataKeys) -> str:
    """What the session is for. Raises BadParameter for a purpose that would make it an orphan."""
    purpose = read_purpose(params, metadata_keys, None)
    if purpose is None:
        raise BadParameter(PURPOSE_FORM, param=f"metadata[{metadata_keys.purpose}]")
    return purpose


def _permit_expand(
    request: Request, expand: Sequence[str], call: str, session_id: str | None = None
) -> None:
    """Log who asks for what a person has submitted. Raises ScopeMissing if that is not theirs."""
    if expand:
        tell_audit(request, expand="true", session_id=session_id)
        require_scope(request, REDACT)
        log_call(request, f"{call} with expand", session_id=session_id)


def _session_id(request: Request) -> str:
    return path_id(request, "VerificationSession", param="session")


def _idempotency_key(request: Request) -> str | None:
    """The caller's own key, which Stripe honours."""
    key = request.headers.get("idempotency-key")
    if key is not None and (not key.isascii() or len(key) > MAX_IDEMPOTENCY_KEY):
        raise BadParameter("Idempotency-Key has to be at most 255 ASCII characters")
    return key
