"""`GET /v1/references/{client_reference_id}`: how a user stands, and why."""

from __future__ import annotations

from collections.abc import Sequence

from anyio import to_thread
from starlette.convertors import PathConvertor
from starlette.datastructures import Secret
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.domain.errors import Permanent, Transient
from app.domain.event import ID, usable_reference
from app.ledger.ledger import Ledger
from app.logs import get_logger
from app.operations.show_reference import as_json
from app.web.answers import error
from app.web.authentication import refuse_stranger

log = get_logger("references")


class ReferenceConvertor(PathConvertor):
    """All the rest of a path: Starlette's own `path` takes no line break, and drops a last one."""

    regex = "(?s:.*)"


class ReadReference:
    """The endpoint that the team's backend asks."""

    def __init__(self, ledger: Ledger, tokens: Sequence[Secret], livemode: bool) -> None:
        """`livemode` is the mode where the query names none."""
        self._ledger = ledger
        self._tokens = tokens
        self._livemode = livemode

    async def __call__(self, request: Request) -> Response:
        """200 with the record; 400, 401, 404; 503 where the ledger is away."""
        refusal = refuse_stranger(request, self._tokens)
        if refusal is not None:
            return refusal
        mode = request.query_params.get("livemode", str(self._livemode).lower())
        if mode not in ("true", "false"):
            return error(
                400, "invalid_request_error", "livemode has to be true or false", param="livemode"
            )
        account = request.query_params.get("account", "")
        if account and not ID.match(account):
            return error(
                400, "invalid_request_error", "account has to be an acct_… id", param="account"
            )
        return await self._answer(request.path_params["reference"], account, mode == "true")

    async def _answer(self, reference: str, account: str, livemode: bool) -> Response:
        record = None
        try:
            if usable_reference(reference) is not None:
                record = await to_thread.run_sync(
                    lambda: self._ledger.read_reference(
                        reference, account=account, livemode=livemode
                    )
                )
        except (Transient, Permanent) as failure:
            log.error("ledger cannot be read", why=str(failure))
            return error(503, "api_error", "the ledger cannot be read", retry_after="5")
        if record is None:
            return error(
                404,
                "invalid_request_error",
                "no session of this client_reference_id is known in this mode and account",
                param="client_reference_id",
            )
        return JSONResponse(as_json(record), headers={"Cache-Control": "no-store"})
