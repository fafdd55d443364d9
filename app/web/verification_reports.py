"""`/v1/identity/verification_reports`: Stripe's own calls, passed through.

A report is a person's data: what was submitted, and what Stripe found in it. It goes to the caller
and stays nowhere else. https://docs.stripe.com/api/identity/verification_reports
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.configuration.credentials import REDACT
from app.stores import Stores
from app.stripe.answers import Plain
from app.stripe.client import REPORTS
from app.web.auditing import CallAudit, tell_audit
from app.web.authentication import TokenGate
from app.web.callers import log_call
from app.web.parameters import path_id, query_parameters, read_expand, stripe_account
from app.web.stripe_calls import Passed, StripeCalls


class VerificationReports:
    """The endpoints. Each raises Misconfigured without an API key, BadParameter, StripeFailure."""

    def __init__(self, stores: Stores, calls: StripeCalls) -> None:
        """Only Stripe is asked; the ledger knows no report."""
        self._stores = stores
        self._calls = calls

    def routes(self, gate: TokenGate, audit: CallAudit) -> list[Route]:
        """The routes of all endpoints, recorded by `audit`.

        They are behind `gate`: whoever redacts may see what there is.
        """

        def get(path: str, endpoint: Callable[..., object], action: str) -> Route:
            middleware = [*audit.of(action), *gate.requiring(REDACT)]
            return Route(path, endpoint, methods=["GET"], middleware=middleware)

        return [
            get(REPORTS, self.list_reports, "list_reports"),
            get(REPORTS + "/{id}", self.read_report, "read_report"),
        ]

    async def list_reports(self, request: Request) -> Response:
        """One page of Stripe's list, newest first."""
        stripe = self._stores.require_stripe()
        params, account = query_parameters(request), stripe_account(request)
        read_expand(params)
        tell_audit(request, account=account)
        log_call(request, "list_reports")
        return await self._calls.answer(lambda: _passed(stripe.list_reports(params, account)))

    async def read_report(self, request: Request) -> Response:
        """The report, with what `expand` names."""
        stripe = self._stores.require_stripe()
        params, account = query_parameters(request), stripe_account(request)
        read_expand(params)
        id = path_id(request, "VerificationReport", param="report")
        tell_audit(request, report_id=id, account=account)
        log_call(request, "read_report", report_id=id)
        return await self._calls.answer(lambda: _passed(stripe.get_report(id, params, account)))


def _passed(plain: Plain) -> Passed:
    return plain.body, plain.request_id
