"""`/v1/references/{client_reference_id}`: a user's standing and its history, and redaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from anyio import to_thread
from starlette.convertors import PathConvertor
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.domain.errors import Rejected
from app.domain.fields import ID, usable_reference
from app.operations.redact_reference import redact_reference
from app.operations.show_reference import as_json, unknown_reference
from app.stores import Stores
from app.web.parameters import BadParameter, query_parameters, reject_unknown, stripe_account

REDACT_PARAMETERS = frozenset({"account", "livemode"})


class ReferenceConvertor(PathConvertor):
    """The rest of a path: Starlette's own `path` matches no line break, and drops a last one."""

    regex = "(?s:.*)"


class UnknownReference(Rejected):
    """The ledger has no session of the reference."""

    def __init__(self) -> None:
        """The message does not quote the reference."""
        super().__init__(unknown_reference("this mode and account"))


class References:
    """The endpoints about a user, for the team's backend."""

    def __init__(self, stores: Stores, now: Callable[[], float]) -> None:
        """`now` gives Unix seconds."""
        self._stores = stores
        self._now = now

    async def read_reference(self, request: Request) -> Response:
        """200 with the record. Without `livemode` in the query, the mode is the API key's.

        Raises BadParameter, UnknownReference and the ledger's errors.
        """
        query = request.query_params
        livemode = _livemode_in(query, self._stores.settings.livemode)
        account = _account_in(query)
        reference = _reference_of(request)
        record = await to_thread.run_sync(
            lambda: self._stores.ledger.read_reference(
                reference, account=account, livemode=livemode
            )
        )
        if record is None:
            raise UnknownReference
        return JSONResponse(as_json(record))

    async def redact_reference(self, request: Request) -> Response:
        """202 with each session and whether its redaction is requested now.

        Raises Misconfigured without an API key, BadParameter, UnknownReference and the ledger's
        errors.
        """
        self._stores.require_stripe()
        livemode = self._stores.settings.livemode
        account = _account_to_redact(request, livemode)
        reference = _reference_of(request)
        redactions = await to_thread.run_sync(
            lambda: redact_reference(
                self._stores, reference, account=account, livemode=livemode, now=int(self._now())
            )
        )
        if not redactions:
            raise UnknownReference
        sessions = [redaction.as_json() for redaction in redactions]
        return JSONResponse({"client_reference_id": reference, "sessions": sessions}, 202)


def _reference_of(request: Request) -> str:
    """The path's reference. Raises UnknownReference if it is unusable."""
    reference = usable_reference(request.path_params["reference"])
    if reference is None:
        raise UnknownReference
    return reference


def _account_to_redact(request: Request, livemode: bool) -> str:
    """The account that the header or the query names; `livemode` is the API key's.

    Raises BadParameter for a query about other sessions than would be redacted.
    """
    named = stripe_account(request)
    query = reject_unknown(query_parameters(request), REDACT_PARAMETERS)
    account = _account_in(query, named)
    if named and account != named:
        raise BadParameter("account and Stripe-Account name two accounts", param="account")
    if _livemode_in(query, livemode) != livemode:
        raise BadParameter("livemode is not that of STRIPE_API_KEY", param="livemode")
    return account


def _account_in(query: Mapping[str, Any], default: str = "") -> str:
    """The query's `account`: a connected one, or "" for the team's own."""
    account = query.get("account", default)
    if not isinstance(account, str) or (account and not ID.match(account)):
        raise BadParameter("account has to be an acct_… id", param="account")
    return account


def _livemode_in(query: Mapping[str, Any], default: bool) -> bool:
    """The query's `livemode`."""
    mode: object = query.get("livemode", str(default).lower())
    if mode not in ("true", "false"):
        raise BadParameter("livemode has to be true or false", param="livemode")
    return mode == "true"
