"""Calls to Stripe, made in threads for the endpoints, and answered as Stripe answered them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from anyio import CapacityLimiter, to_thread
from starlette.responses import JSONResponse, Response

from app.domain.errors import UnreadableEvent
from app.web.request_ids import HEADER

# Calls at once: each holds a thread, for ten seconds at worst. These are not the threads that read
# the ledger, so that a slow Stripe does not stop those.
CONCURRENCY = 20
# What the caller is answered, and Stripe's id of the call that it comes from.
Passed = tuple[Mapping[str, Any], str | None]


class UnreadableAnswer(Exception):
    """Stripe's answer has a field that is not of the form it documents."""


class StripeCalls:
    """Makes calls, no more than CONCURRENCY at once."""

    def __init__(self) -> None:
        """The limit holds for all that share this object."""
        self._limiter = CapacityLimiter(CONCURRENCY)

    async def answer(self, call: Callable[[], Passed]) -> Response:
        """200 with what `call` returns. Raises what it raises, and UnreadableAnswer."""
        try:
            body, request_id = await to_thread.run_sync(call, limiter=self._limiter)
        except UnreadableEvent as unreadable:
            raise UnreadableAnswer(str(unreadable)) from None
        return JSONResponse(body, headers={HEADER: request_id} if request_id else None)
