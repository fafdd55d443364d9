"""Who calls: the token that a request bears, what it may do, and the log of what it did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.types import Scope

from app.configuration.credentials import ApiToken
from app.domain.errors import Rejected
from app.logs import get_logger
from app.web.refusals import Refusal

log = get_logger("audit")

_IN_SCOPE = "identity.caller"
_REFUSED = "identity.caller_refused"


class ScopeMissing(Rejected):
    """The caller's token is good, but not for this call."""

    def __init__(self, needed: str) -> None:
        """`needed` is the scope that it lacks."""
        super().__init__(f"the token has not the scope `{needed}`, which this needs: API_TOKENS")


@dataclass(frozen=True, slots=True)
class Caller:
    """The bearer of a token, for the length of one request."""

    token: ApiToken
    count_refused: Callable[[Refusal], None]

    def require(self, needed: str, scope: Scope) -> None:
        """Raises ScopeMissing, and counts it, unless the token has the scope `needed`."""
        if needed not in self.token.scopes:
            scope[_REFUSED] = True
            self.count_refused(Refusal("scope", call_of(scope), self.token.name))
            raise ScopeMissing(needed)


def call_of(scope: Scope) -> str:
    """The method and the route of a request: nothing of what the sender wrote into its path."""
    return f"{scope['method']} {scope['route'].path}"


def remember_caller(scope: Scope, caller: Caller) -> None:
    """Keep who calls with the request."""
    scope[_IN_SCOPE] = caller


def caller_in(scope: Scope) -> Caller | None:
    """Who calls; None if nobody has the token."""
    caller: Caller | None = scope.get(_IN_SCOPE)
    return caller


def is_refused(scope: Scope) -> bool:
    """Whether the caller's token lacked a scope."""
    return _REFUSED in scope


def require_scope(request: Request, needed: str) -> None:
    """Raises ScopeMissing unless the caller's token has the scope."""
    _caller_of(request).require(needed, request.scope)


def log_call(request: Request, action: str, **ids: str | None) -> None:
    """Say who asks for what cannot be undone, or sees what a person has submitted.

    Before it is done, so that it is said whatever comes of it: the `request_id` joins the lines.
    """
    log.info("audited call", action=action, token_name=_caller_of(request).token.name, **ids)


def _caller_of(request: Request) -> Caller:
    caller: Caller = request.scope[_IN_SCOPE]
    return caller
