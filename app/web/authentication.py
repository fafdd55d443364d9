"""Who may ask: a bearer token of API_TOKENS."""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from starlette.datastructures import Secret
from starlette.requests import Request
from starlette.responses import Response

from app.web.answers import error


def refuse_stranger(request: Request, tokens: Sequence[Secret]) -> Response | None:
    """None where the request bears one of `tokens`, else the 401 to answer with."""
    if not tokens:
        return _refusal("API_TOKENS is not set, so nobody may ask")
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    # Every token is compared, each in constant time: how long it takes tells nothing.
    matches = [hmac.compare_digest(given.encode(), str(token).encode()) for token in tokens]
    if scheme.lower() == "bearer" and any(matches):
        return None
    return _refusal("send `Authorization: Bearer TOKEN` with a token of API_TOKENS")


def _refusal(message: str) -> Response:
    return error(401, "authentication_error", message, www_authenticate="Bearer")
