"""`POST /v1/references/{client_reference_id}/redact`: have all of a user's sessions redacted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from anyio import to_thread
from starlette.datastructures import Secret
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.domain.effects import EffectRow
from app.domain.errors import Permanent, QueueUnavailable, Transient
from app.domain.event import ID, usable_reference
from app.ledger.ledger import Ledger
from app.logs import get_logger
from app.operations.redact_reference import redact_reference
from app.queue.jobs import JobQueue
from app.queue.model import effect_job
from app.web.answers import error
from app.web.authentication import refuse_stranger
from app.web.parameters import BadParameter, only, query_parameters
from app.web.verification_sessions import account_of

log = get_logger("redactions")


class RedactReference:
    """The endpoint that the team's backend asks when a user wants to be forgotten."""

    def __init__(
        self,
        ledger: Ledger,
        effects: JobQueue,
        tokens: Sequence[Secret],
        livemode: bool | None,
        now: Callable[[], float],
    ) -> None:
        """`livemode` is the mode of the API key: only its sessions can be redacted with it.

        None where there is no key, and so nobody who could do it.
        """
        self._ledger = ledger
        self._effects = effects
        self._tokens = tokens
        self._livemode = livemode
        self._now = now

    async def __call__(self, request: Request) -> Response:
        """202 with each session and what was asked; 400, 401, 404; 503 where it cannot be done."""
        refusal = refuse_stranger(request, self._tokens)
        if refusal is not None:
            return refusal
        if self._livemode is None:
            return error(503, "api_error", "STRIPE_API_KEY is not set")
        reference, livemode = usable_reference(request.path_params["reference"]), self._livemode
        try:
            account = _account_of(request, livemode)
            found = []
            if reference is not None:
                found = await to_thread.run_sync(self._redact, reference, account, livemode)
        except BadParameter as bad:
            return error(400, "invalid_request_error", str(bad), param=bad.param, code=bad.code)
        except (Transient, Permanent) as failure:
            log.error("redaction not asked for", why=str(failure))
            return error(503, "api_error", "the ledger is away: try again", retry_after="5")
        if not found:
            return error(
                404,
                "invalid_request_error",
                "no session of this client_reference_id is known in this mode and account",
                param="client_reference_id",
            )
        return JSONResponse({"client_reference_id": reference, "sessions": found}, 202)

    def _redact(self, reference: str, account: str, livemode: bool) -> list[dict[str, str | None]]:
        now = int(self._now())
        asked = redact_reference(
            self._ledger, reference, account=account, livemode=livemode, now=now
        )
        if asked is None:
            return []
        redactions, effects = asked
        self._queue(effects, now)
        return [one.as_json() for one in redactions]

    def _queue(self, effects: list[EffectRow], now: float) -> None:
        try:
            if effects:
                self._effects.accept_all([effect_job(row, now) for row in effects])
        except QueueUnavailable as failure:
            # They are in the ledger: the clock queues them when Redis is back.
            log.warning("effects wait in the ledger", why=str(failure))


def _account_of(request: Request, livemode: bool) -> str:
    """The account that the header or, as where a reference is read, the query names.

    Raises BadParameter for a query that means other sessions than would be redacted.
    """
    named = account_of(request)
    query = only(query_parameters(request), ("account", "livemode"))
    account = query.get("account", named)
    if not isinstance(account, str) or (account and not ID.match(account)):
        raise BadParameter("account has to be an acct_… id", param="account")
    if named and account != named:
        raise BadParameter("account and Stripe-Account name two accounts", param="account")
    if query.get("livemode", str(livemode).lower()) != str(livemode).lower():
        raise BadParameter("livemode is not that of STRIPE_API_KEY", param="livemode")
    return account
