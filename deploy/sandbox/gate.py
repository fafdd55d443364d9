"""What every request to Stripe's API passes: the key, the limits, the faults, idempotency."""

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from deploy.sandbox import bodies, params
from deploy.sandbox.accounts import Accounts, Caller
from deploy.sandbox.authentication import authenticate
from deploy.sandbox.clock import Clock
from deploy.sandbox.errors import StripeError, rate_limited, unrecognized_url
from deploy.sandbox.events import API_VERSION
from deploy.sandbox.faults import Fault, Faults, RateLimit
from deploy.sandbox.idempotency import Answer, Idempotency
from deploy.sandbox.ids import Ids

# The key in the ASGI scope of a function that closes the connection; the server sets it.
HANG_UP = "sandbox.hang_up"


@dataclass(frozen=True)
class Call:
    """One authenticated call. `params` are decoded but not yet read."""

    caller: Caller
    params: dict[str, Any]
    path: Mapping[str, str]
    request: dict[str, str | None]  # as events name it: id and idempotency_key


Operation = Callable[[Call], dict[str, Any]]


@dataclass(frozen=True)
class _Incoming:
    """One authenticated request, read but not decoded."""

    caller: Caller
    method: str
    path: str
    path_params: Mapping[str, str]
    form: bytes
    request_id: str
    idempotency_key: str | None

    def call(self) -> Call:
        """Decoded. Raises StripeError."""
        request = {"id": self.request_id, "idempotency_key": self.idempotency_key}
        return Call(self.caller, params.decode(self.form), self.path_params, request)


@dataclass(frozen=True)
class _Executed:
    """An answer, and whether Stripe keeps it for its idempotency key.

    `made` is when, on the sandbox's clock; `late` the seconds that it takes on its way, if it is
    not `lost` there.
    """

    answer: Answer
    kept: bool
    made: float
    lost: bool = False
    late: float = 0.0


class HungUp(Exception):
    """The connection is to be closed without an answer."""


class NoAnswer(Response):
    """Closes the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait until the server sees the disconnect: it then sends nothing."""
        scope["extensions"][HANG_UP]["close"]()
        while (await receive())["type"] != "http.disconnect":
            pass


class Gate:
    """Turns operations into endpoints that answer as Stripe's API does."""

    def __init__(
        self, clock: Clock, ids: Ids, accounts: Accounts, changed: Callable[[], None]
    ) -> None:
        self.faults = Faults()
        self.rate_limit = RateLimit()
        self._clock = clock
        self._ids = ids
        self._accounts = accounts
        self._changed = changed
        self._idempotency = Idempotency(clock.now)

    def endpoint(self, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
        """The operation behind the gate."""

        async def answer(request: Request) -> Response:
            request_id = self._ids.new("req", 14)
            try:
                done = await self._once(await self._read(request, request_id), operation)
                if done.lost:
                    return NoAnswer()
                await asyncio.sleep(done.late)
            except StripeError as error:
                done = _Executed(_of_error(error, request_id), kept=False, made=self._clock.now())
            except HungUp:
                return NoAnswer()
            return self._respond(request, done, request_id)

        return answer

    async def unknown(self, request: Request) -> Response:
        """Answer 404 to a path that the API does not have."""

        def operation(call: Call) -> dict[str, Any]:
            raise unrecognized_url(request.method, request.scope["path"])

        return await self.endpoint(operation)(request)

    async def _read(self, request: Request, request_id: str) -> _Incoming:
        key = authenticate(request.headers.get("authorization", ""))
        caller = self._accounts.resolve(key, request.headers)
        if not self.rate_limit.allows(time.monotonic()):
            raise rate_limited()
        try:
            body = await bodies.read(request)
        except bodies.TooLarge:
            raise StripeError(413, "Request body is too large.") from None
        posted = request.method == "POST"
        if body and "json" in request.headers.get("content-type", ""):
            raise StripeError(
                400,
                "Invalid request (check that your POST content type is "
                "application/x-www-form-urlencoded).",
            )
        return _Incoming(
            method=request.method,
            # Not `request.url`: it is built from the Host header, and may not be readable.
            path=request.scope["path"],
            form=body if posted else request.scope["query_string"],
            path_params=request.path_params,
            caller=caller,
            request_id=request_id,
            # "All POST requests accept idempotency keys"; the others need none.
            idempotency_key=request.headers.get("idempotency-key") if posted else None,
        )

    async def _once(self, incoming: _Incoming, operation: Operation) -> _Executed:
        """Execute, but at most once for an idempotency key."""
        scope, key = incoming.caller.scope, incoming.idempotency_key
        if key is None:
            return await self._execute(incoming, operation)
        fingerprint = hashlib.sha256(f"{incoming.path}\n".encode() + incoming.form).digest()
        stored = self._idempotency.begin(scope, key, fingerprint)
        if stored is not None:
            return _Executed(stored, kept=True, made=self._clock.now())
        kept: Answer | None = None
        try:
            done = await self._execute(incoming, operation)
            kept = done.answer if done.kept else None
        finally:
            self._idempotency.end(scope, key, kept)
        return done

    async def _execute(self, incoming: _Incoming, operation: Operation) -> _Executed:
        """Execute, or apply the fault that is due for this request."""
        fault = self.faults.take(incoming.method, incoming.path) or Fault()
        if fault.delay:
            await asyncio.sleep(fault.delay)
        if fault.hang_up is True:
            raise HungUp
        try:
            if fault.status is not None:
                raise _injected(fault, fault.status)
            body = json.dumps(operation(incoming.call())).encode()
            answer, kept = Answer(200, body, {}, incoming.request_id), True
            self._changed()
        except StripeError as error:
            answer, kept = _of_error(error, incoming.request_id), error.executed
        lost = fault.hang_up == "after"
        return _Executed(answer, kept, self._clock.now(), lost, fault.late)

    def _respond(self, request: Request, done: _Executed, request_id: str) -> Response:
        answer = done.answer
        headers = {
            **answer.headers,
            "Content-Type": "application/json",
            "Date": formatdate(done.made, usegmt=True),
            "Request-Id": request_id,
            "Stripe-Version": request.headers.get("stripe-version", API_VERSION),
        }
        if "idempotency-key" in request.headers:
            headers["Idempotency-Key"] = request.headers["idempotency-key"]
        if answer.request_id != request_id:
            headers |= {"Idempotent-Replayed": "true", "Original-Request": answer.request_id}
        return Response(answer.body, answer.status, headers)


def _injected(fault: Fault, status: int) -> StripeError:
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    if status == 429:
        error = rate_limited()
        error.headers |= headers
        return error
    return StripeError(
        status,
        "The sandbox was told to answer so.",
        type="api_error" if status >= 500 else "invalid_request_error",
        code=fault.code,
        executed=status >= 500,
        headers=headers,
    )


def _of_error(error: StripeError, request_id: str) -> Answer:
    body = error.body()
    body["error"]["request_log_url"] = f"https://dashboard.stripe.com/logs/{request_id}"
    return Answer(error.status, json.dumps(body).encode(), error.headers, request_id)
