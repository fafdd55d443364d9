"""Calls of `/v1` that change something, or show what a person has submitted, are in the audit.

Recorded here, outside of the gate and of the endpoints, by what the caller is answered.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from anyio import CapacityLimiter, to_thread
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.domain.fields import TOKEN
from app.operations.auditing import write_entry
from app.stores import Stores
from app.web.callers import caller_in, is_refused
from app.web.limits import Allowance

_IN_SCOPE = "identity.audited"
# Entries that are written at once, each in a thread: more than all calls that there are at once, so
# that while the ledger hangs, no answer waits for the entries of others.
CONCURRENCY = 40
# Calls that a token has no scope for, and how many more a second, have an entry each. What is
# beyond that is counted like all that is refused: a leaked token must not fill the ledger.
BURST, RATE = 20, 0.1


def tell_audit(request: Request, **ids: str | None) -> None:
    """Say what the call is about, by name; None is left out.

    A call that only reads is in the audit if it says something here.
    """
    told: dict[str, str] = request.scope.setdefault(_IN_SCOPE, {})
    told.update({name: id for name, id in ids.items() if id})


class CallAudit:
    """Records calls, of tokens that are known."""

    def __init__(
        self,
        stores: Stores,
        now: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`now` gives Unix seconds, `monotonic` seconds."""
        self._audit = stores.audit
        self._now = now
        self._limiter = CapacityLimiter(CONCURRENCY)
        self._refused = Allowance(BURST, RATE, monotonic)

    def of(self, action: str, *, if_told: bool = False) -> list[Middleware]:
        """The middleware of a route, in front of its gate.

        `if_told`: only what has told the audit something is recorded, as of calls that read.
        """
        return [Middleware(RecordCall, audit=self, action=action, if_told=if_told)]

    async def record(self, scope: Scope, action: str, result: str) -> None:
        """Write the entry, unless nobody has the token, or too many of its calls are refused."""
        caller = caller_in(scope)
        if caller is None:
            return
        if is_refused(scope) and not self._refused.allows():
            return
        await to_thread.run_sync(
            lambda: write_entry(
                self._audit,
                who=caller.token.name,
                via="api",
                action=action,
                target=scope.get(_IN_SCOPE, {}),
                at=int(self._now()),
                result=result,
            ),
            limiter=self._limiter,
        )


class RecordCall:
    """ASGI middleware: has a call recorded before it is answered."""

    def __init__(self, app: ASGIApp, audit: CallAudit, action: str, if_told: bool) -> None:
        """`if_told`: a call that has told the audit nothing is not recorded."""
        self._app = app
        self._audit = audit
        self._action = action
        self._if_told = if_told

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and its answer back once the entry is written."""
        head: Message | None = None
        recorded = False

        async def record(result: str) -> None:
            nonlocal recorded
            if not recorded and (not self._if_told or _IN_SCOPE in scope):
                recorded = True
                await self._audit.record(scope, self._action, result)

        async def send_recorded(message: Message) -> None:
            nonlocal head
            if message["type"] == "http.response.start":
                head = message  # what went wrong stands in the body
                return
            if head is not None:
                await record(result_of(head["status"], message.get("body", b"")))
                await send(head)
                head = None
            await send(message)

        try:
            await self._app(scope, receive, send_recorded)
        except Exception:  # it is answered further out, by 500
            await record(result_of(500, b""))
            raise


def result_of(status: int, body: bytes) -> str:
    """What came of a call, by its answer: `done`, `refused: 409 reference_verified`."""
    if status < 400:
        return "done"
    outcome = "refused" if status < 500 else "failed"
    return f"{outcome}: {status} {_code_in(body)}".rstrip()


def _code_in(body: bytes) -> str:
    """The code of an error of Stripe's shape; "" if it has none."""
    try:
        code = json.loads(body)["error"]["code"]
    except (ValueError, LookupError, TypeError):
        return ""
    return code if isinstance(code, str) and TOKEN.match(code) else ""
