"""`GET /healthz`: the process lives. `GET /readyz`: it can take deliveries."""

from __future__ import annotations

from anyio import move_on_after, to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.domain.errors import Permanent, QueueUnavailable, Transient
from app.ledger.ledger import Ledger
from app.queue.jobs import AsyncJobQueue

# Seconds a probe waits for the ledger, which does not decide: probes are given up on after few.
LEDGER_WITHIN = 1


async def healthz(request: Request) -> Response:
    """200 as long as the event loop turns."""
    return JSONResponse({"status": "ok"})


class Readiness:
    """Whether the process should be sent requests."""

    def __init__(self, queue: AsyncJobQueue, ledger: Ledger) -> None:
        """The two stores that the process asks."""
        self._queue = queue
        self._ledger = ledger

    async def __call__(self, request: Request) -> Response:
        """200 or 503, by Redis alone: a webhook needs no SQL, and has to go on without."""
        told = {"redis": "ok", "ledger": f"does not answer within {LEDGER_WITHIN} s"}
        try:
            await self._queue.ping()
        except QueueUnavailable as failure:
            told["redis"] = str(failure)
        with move_on_after(LEDGER_WITHIN):
            told["ledger"] = await to_thread.run_sync(self._ask_ledger, abandon_on_cancel=True)
        ready = told["redis"] == "ok"
        return JSONResponse(
            {"status": "ready" if ready else "not ready", **told}, 200 if ready else 503
        )

    def _ask_ledger(self) -> str:
        try:
            self._ledger.ping()
        except (Transient, Permanent) as failure:
            return str(failure)
        return "ok"
