"""Authentication: a bearer token of API_TOKENS."""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders, Secret
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.web.errors import error


class RequireToken:
    """ASGI middleware: passes on requests that bear one of the tokens, answers 401 to all others.

    No cache may keep any of the answers: they are about people, or hold their secrets.
    """

    def __init__(self, app: ASGIApp, tokens: Sequence[Secret]) -> None:
        """Without any tokens, no request passes."""
        self._app = app
        self._tokens = [str(token).encode() for token in tokens]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401, or pass the request on. Its body is not read."""

        async def send_uncached(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Cache-Control"] = "no-store"
            await send(message)

        refusal = self._refusal(Headers(scope=scope).get("authorization", ""))
        await (refusal or self._app)(scope, receive, send_uncached)

    def _refusal(self, authorization: str) -> Response | None:
        """The 401 answer; None if the request bears a valid token."""
        if not self._tokens:
            return _refuse("API_TOKENS is not set, so every call is refused")
        scheme, _, given = authorization.partition(" ")
        # Every token is compared, each in constant time: the time reveals nothing.
        matches = [hmac.compare_digest(given.encode(), token) for token in self._tokens]
        if scheme.lower() == "bearer" and any(matches):
            return None
        return _refuse("send `Authorization: Bearer TOKEN` with a token of API_TOKENS")


def _refuse(message: str) -> Response:
    return error(401, "authentication_error", message, www_authenticate="Bearer")
