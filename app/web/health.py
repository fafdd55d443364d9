"""`GET /healthz`: the process runs. `GET /readyz`: it can take deliveries."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.domain.errors import StoreFailure
from app.ledger.ledger import Ledger
from app.outages import Outages
from app.queue.enqueuing import AsyncJobQueue

# Seconds a probe waits for the ledger, which does not decide: probes time out after a few.
LEDGER_TIMEOUT = 1
# Seconds for which an answer is kept: several balancers ask at once, and anyone may ask often.
KEPT = 1.0

OK = "ok"


async def healthz(request: Request) -> Response:
    """200 while the event loop runs."""
    return JSONResponse({"status": "ok"})


class Probes:
    """The probes that decide whether the process is restarted, and is sent requests."""

    def __init__(
        self,
        events: AsyncJobQueue,
        ledger: Ledger,
        monotonic: Callable[[], float] = time.monotonic,
        outages: Outages | None = None,
    ) -> None:
        """The two stores that the process asks; `monotonic` gives seconds.

        `outages` tells the log what is wrong where: anyone may ask, and is told a code only.
        """
        self._outages = outages or Outages(monotonic)
        self._events = events
        self._ledger = ledger
        self._redis_says = SharedAnswer(self._ask_redis, monotonic)
        self._ledger_says = SharedAnswer(self._ask_ledger, monotonic)

    async def readyz(self, request: Request) -> Response:
        """200 or 503, by Redis alone: webhooks need no SQL, and have to work without it."""
        redis, ledger = await asyncio.gather(self._redis_says.get(), self._ledger_in_time())
        ready = redis == OK
        status = "ready" if ready else "not ready"
        body = {"status": status, "redis": redis, "ledger": ledger}
        return JSONResponse(body, 200 if ready else 503)

    async def _ask_redis(self) -> str:
        try:
            await self._events.check()
        except StoreFailure as failure:
            self._outages.failed("probe Redis", failure)
            return failure.code
        self._outages.succeeded("probe Redis")
        return OK

    async def _ledger_in_time(self) -> str:
        try:
            async with asyncio.timeout(LEDGER_TIMEOUT):
                return await self._ledger_says.get()
        except TimeoutError:
            return f"does not answer within {LEDGER_TIMEOUT} s"

    async def _ask_ledger(self) -> str:
        # A thread that hangs is left behind only where the event loop ends.
        return await to_thread.run_sync(self._ping_ledger, abandon_on_cancel=True)

    def _ping_ledger(self) -> str:
        try:
            self._ledger.ping()
        except StoreFailure as failure:
            self._outages.failed("probe the ledger", failure)
            return failure.code
        self._outages.succeeded("probe the ledger")
        return OK


class SharedAnswer:
    """An answer for all who ask while it is under way, and for KEPT seconds after it.

    So a store that hangs holds one connection and one thread, however many ask.
    """

    def __init__(self, ask: Callable[[], Awaitable[str]], monotonic: Callable[[], float]) -> None:
        """`ask` is called again once its answer is too old; `monotonic` gives seconds."""
        self._ask = ask
        self._monotonic = monotonic
        self._answer: asyncio.Task[str] | None = None
        self._good_until = 0.0

    async def get(self) -> str:
        """The answer. Who is cancelled stops waiting, and the question goes on."""
        answer = self._answer
        if answer is None or (answer.done() and self._monotonic() >= self._good_until):
            answer = self._answer = asyncio.create_task(self._ask_once())
        return await asyncio.shield(answer)

    async def _ask_once(self) -> str:
        try:
            return await self._ask()
        finally:
            self._good_until = self._monotonic() + KEPT
