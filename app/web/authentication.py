"""Authentication: a token of API_TOKENS, where Stripe's own clients put their key.

Stripe's packages send `Authorization: Bearer KEY`; `curl -u KEY:`, as in Stripe's documentation,
sends Basic with the key as the user's name: https://docs.stripe.com/api/authentication
"""

from __future__ import annotations

import base64
import hmac
import time
from collections.abc import Callable, Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.configuration.credentials import ApiToken
from app.web.callers import Caller, ScopeMissing, call_of, remember_caller
from app.web.errors import error, scope_missing
from app.web.limits import Allowance
from app.web.refusals import Refusal

# Refused calls that are answered at once, and how many more a second. Beyond that they are told to
# wait. A backend with a wrong token makes fewer; whoever tries tokens would make more.
BURST = 100
RATE = 10.0


class TokenGate:
    """Knows the tokens. What it refuses is counted, and slowed; what is allowed never waits."""

    def __init__(
        self,
        tokens: Sequence[ApiToken],
        count_refused: Callable[[Refusal], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Without any tokens, no request passes. `monotonic` gives seconds."""
        self._tokens = [(str(token.secret).encode(), token) for token in tokens]
        self._count_refused = count_refused
        self._limit = Allowance(BURST, RATE, monotonic)

    def requiring(self, scope: str) -> list[Middleware]:
        """The middleware of a route whose callers need this scope."""
        return [Middleware(RequireToken, gate=self, needed=scope)]

    def admit(self, scope: Scope, needed: str) -> Response | None:
        """The answer that refuses the request; None if it may go on.

        The caller is known from here on, unless nobody has the token.
        """
        token = self._token_of(Headers(scope=scope).get("authorization", ""))
        if token is None:
            self._count_refused(Refusal("token", call_of(scope)))
            return self._slowed(_unknown(any_known=bool(self._tokens)))
        caller = Caller(token, self._count_refused)
        remember_caller(scope, caller)
        try:
            caller.require(needed, scope)
        except ScopeMissing as missing:
            return self._slowed(scope_missing(missing))
        return None

    def _token_of(self, authorization: str) -> ApiToken | None:
        given = _token_in(authorization)
        # Every token is compared, each in constant time: the time reveals nothing.
        matches = [token for known, token in self._tokens if hmac.compare_digest(given, known)]
        return matches[0] if matches else None

    def _slowed(self, answer: Response) -> Response:
        if self._limit.allows():
            return answer
        message = "too many calls were refused: wait, and send a token of API_TOKENS"
        return error(429, "invalid_request_error", message, code="rate_limit", retry_after="1")


class RequireToken:
    """ASGI middleware: passes on requests with a token of the scope, and refuses all others.

    No cache may keep any of the answers: they are about people, or hold their secrets.
    """

    def __init__(self, app: ASGIApp, gate: TokenGate, needed: str) -> None:
        """`needed` is the scope."""
        self._app = app
        self._gate = gate
        self._needed = needed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, whose body is not read, or pass it on."""

        async def send_uncached(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Cache-Control"] = "no-store"
            await send(message)

        refusal = self._gate.admit(scope, self._needed)
        await (refusal or self._app)(scope, receive, send_uncached)


def _token_in(authorization: str) -> bytes:
    """The token of a header; nothing, which no token is, if it is of neither form."""
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return given.encode()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(given, validate=True).partition(b":")[0]
        except ValueError:  # not base64, or not ASCII
            return b""
    return b""


def _unknown(*, any_known: bool) -> Response:
    message = (
        "send `Authorization: Bearer TOKEN` with a token of API_TOKENS"
        if any_known
        else "API_TOKENS is not set, so every call is refused"
    )
    return error(401, "authentication_error", message, www_authenticate="Bearer")
