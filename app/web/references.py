"""`/v1/references/{client_reference_id}`: a user's standing and history, refresh and redaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from anyio import CapacityLimiter, to_thread
from starlette.convertors import PathConvertor
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.domain.errors import Rejected
from app.domain.fields import ACCOUNT_PATH, PURPOSE, PURPOSE_FORM, usable_reference
from app.domain.standing import ReferenceKey
from app.logs import get_logger
from app.operations.redact_reference import redact_reference
from app.operations.refresh_reference import refresh_reference
from app.operations.show_reference import as_json, unknown_reference
from app.stores import Stores
from app.web.auditing import tell_audit
from app.web.callers import log_call
from app.web.parameters import BadParameter, query_parameters, reject_unknown, stripe_account

log = get_logger("audit")

# For the calls that ask Stripe, which are in the mode of the API key.
STRIPE_PARAMETERS = frozenset({"account", "livemode"})
# Refreshes at once: each holds a thread while Stripe answers. These are not the threads that read
# the ledger, so that a slow Stripe does not stop those.
CONCURRENCY = 10


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
        self._limiter = CapacityLimiter(CONCURRENCY)

    async def read_reference(self, request: Request) -> Response:
        """200 with the record. Without `livemode` in the query, the mode is the API key's.

        Raises BadParameter, UnknownReference and the ledger's errors.
        """
        query = request.query_params
        livemode = livemode_in(query, self._stores.settings.livemode)
        account = account_of(request, query)
        purpose = purpose_in(query)
        reference = _reference_of(request)
        record = await to_thread.run_sync(
            lambda: self._stores.ledger.read_reference(
                reference, account=account, livemode=livemode, purpose=purpose
            )
        )
        if record is None:
            raise UnknownReference
        return JSONResponse(as_json(record))

    async def redact_reference(self, request: Request) -> Response:
        """202 with each session and whether its redaction is requested now.

        Raises Misconfigured without an API key, BadParameter, UnknownReference, StripeFailure and
        the ledger's errors.
        """
        self._stores.require_stripe()
        livemode = self._stores.settings.livemode
        account = _account_at_stripe(request, livemode)
        reference = _reference_of(request)
        tell_audit(request, reference=reference, account=account)
        log_call(request, "redact_reference")
        redactions = await to_thread.run_sync(
            lambda: redact_reference(
                self._stores, reference, account=account, livemode=livemode, now=int(self._now())
            ),
            limiter=self._limiter,
        )
        if not redactions:
            raise UnknownReference
        sessions = [redaction.as_json() for redaction in redactions]
        # Not the reference: it may name a person.
        log.info(
            "redactions requested",
            session_ids=[redaction.session.id for redaction in redactions if redaction.requested],
        )
        return JSONResponse({"client_reference_id": reference, "sessions": sessions}, 202)

    async def refresh_reference(self, request: Request) -> Response:
        """200 with the standing before and after Stripe was asked about all the user's sessions.

        Raises Misconfigured without an API key, BadParameter, UnknownReference, StripeFailure and
        the ledger's errors.
        """
        self._stores.require_stripe()
        livemode = self._stores.settings.livemode
        account = _account_at_stripe(request, livemode, "purpose")
        purpose = purpose_in(query_parameters(request))
        key = ReferenceKey(account, livemode, _reference_of(request), purpose)
        tell_audit(request, reference=key.reference, account=account, purpose=purpose)
        refreshed = await to_thread.run_sync(
            lambda: refresh_reference(self._stores, key, int(self._now())), limiter=self._limiter
        )
        if refreshed is None:
            raise UnknownReference
        return JSONResponse(refreshed.as_json())


def _reference_of(request: Request) -> str:
    """The path's reference. Raises UnknownReference if it is unusable."""
    reference = usable_reference(request.path_params["reference"])
    if reference is None:
        raise UnknownReference
    return reference


def _account_at_stripe(request: Request, livemode: bool, *others: str) -> str:
    """The account that the header or the query names; `livemode` is the API key's.

    `others` are parameters that the query may have as well. Raises BadParameter for a query about
    other sessions than Stripe would be asked about.
    """
    query = reject_unknown(query_parameters(request), STRIPE_PARAMETERS.union(others))
    account = account_of(request, query)
    if livemode_in(query, livemode) != livemode:
        raise BadParameter("livemode is not that of STRIPE_API_KEY", param="livemode")
    return account


def account_of(request: Request, query: Mapping[str, Any]) -> str:
    """The connected account that the header or the query names, or "" for the team's own."""
    named = stripe_account(request)
    account = query.get("account", named)
    if not isinstance(account, str) or (account and not ACCOUNT_PATH.match(account)):
        raise BadParameter("account has to be an acct_… id, or a path of them", param="account")
    if named and account != named:
        raise BadParameter("account and Stripe-Account name two accounts", param="account")
    return account


def purpose_in(query: Mapping[str, Any]) -> str:
    """The query's `purpose`: "" is the default one."""
    purpose = query.get("purpose", "")
    if not isinstance(purpose, str) or (purpose and not PURPOSE.match(purpose)):
        raise BadParameter(PURPOSE_FORM, param="purpose")
    return purpose


def livemode_in(query: Mapping[str, Any], default: bool) -> bool:
    """The query's `livemode`."""
    mode: object = query.get("livemode", str(default).lower())
    if mode not in ("true", "false"):
        raise BadParameter("livemode has to be true or false", param="livemode")
    return mode == "true"
