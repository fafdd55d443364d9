"""`GET /healthz`: the process runs. `GET /readyz`: it can take deliveries."""

from __future__ import annotations

from anyio import move_on_after, to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.domain.errors import Permanent, QueueUnavailable, Transient
from app.ledger.ledger import Ledger
from app.queue.transitions import AsyncJobQueue

# Seconds a probe waits for the ledger, which does not decide: probes time out after a few.
LEDGER_TIMEOUT = 1


class Probes:
    """The probes that decide whether the process is restarted, and is sent requests."""

    def __init__(self, events: AsyncJobQueue, ledger: Ledger) -> None:
        """The two stores that the process asks."""
        self._events = events
        self._ledger = ledger

    async def healthz(self, request: Request) -> Response:
        """200 while the event loop runs."""
        return JSONResponse({"status": "ok"})

    async def readyz(self, request: Request) -> Response:
        """200 or 503, by Redis alone: webhooks need no SQL, and have to work without it."""
        stores = {"redis": "ok", "ledger": f"does not answer within {LEDGER_TIMEOUT} s"}
        try:
            await self._events.ping()
        except QueueUnavailable as failure:
            stores["redis"] = str(failure)
        with move_on_after(LEDGER_TIMEOUT):
            stores["ledger"] = await to_thread.run_sync(self._ask_ledger, abandon_on_cancel=True)
        ready = stores["redis"] == "ok"
        return JSONResponse(
            {"status": "ready" if ready else "not ready", **stores}, 200 if ready else 503
        )

    def _ask_ledger(self) -> str:
        try:
            self._ledger.ping()
        except (Transient, Permanent) as failure:
            return str(failure)
        return "ok"
