"""What a person is told where a page or an action does not come about."""

from __future__ import annotations

from typing import NamedTuple

from redis.exceptions import RedisError
from starlette.exceptions import HTTPException
from starlette.requests import Request

from app.domain.errors import (
    Conflict,
    IdentityError,
    Misconfigured,
    Rejected,
    StoreFailure,
    Transient,
)
from app.logs import get_logger
from app.oidc.errors import (
    NobodyHere,
    ProviderAway,
    ProviderUnusable,
    RefusedByProvider,
    SignInRefused,
    TokenRefused,
)
from app.stripe.errors import StripeFailure
from app.telemetry import bugs
from app.web.body import BodyTooLarge, BodyTooSlow
from app.web.callers import call_of
from app.web.console.people import RoleMissing
from app.web.console.protection import CrossSite
from app.web.console.views import Busy, NotFound

log = get_logger("console")

STORES = {"Redis": "Redis cannot be used", "ledger": "The ledger cannot be used"}
RETRY_AFTER = 5  # seconds


class TooManyTries(Rejected):
    """Passwords were tried too often: a person waits until they may try again."""

    def __init__(self, seconds: int) -> None:
        """`seconds` is how long."""
        super().__init__(f"passwords were tried too often: try again in {seconds} s")
        self.seconds = seconds


class TooManySignIns(Transient):
    """Sign-ins at the provider were begun too often: a person waits until they may try again."""

    def __init__(self) -> None:
        """The text is for the person."""
        super().__init__("too many people sign in at once: try again in a moment")


class Problem(NamedTuple):
    """A failure, as its page shows it."""

    status: int
    title: str
    line: str
    advice: str = ""
    retry_after: int | None = None  # seconds


# The nearest class of the exception decides.
STATUSES: dict[type[Exception], tuple[int, str]] = {
    NotFound: (404, "Not found"),
    RoleMissing: (403, "Not allowed"),
    CrossSite: (403, "Not allowed"),
    Conflict: (409, "Not done"),
    TooManyTries: (429, "Too many tries"),
    TooManySignIns: (429, "Too many tries"),
    NobodyHere: (403, "Not allowed"),
    RefusedByProvider: (403, "Not signed in"),
    TokenRefused: (401, "Not signed in"),
    SignInRefused: (400, "Not signed in"),
    ProviderAway: (503, "The provider is away"),
    ProviderUnusable: (502, "The provider did not do it"),
    Rejected: (400, "Not done"),
    BodyTooLarge: (413, "Too large"),
    BodyTooSlow: (408, "Too slow"),
    Misconfigured: (503, "A setting is missing"),
    StripeFailure: (502, "Stripe did not do it"),
    Busy: (503, "Busy"),
    IdentityError: (503, "Not done"),
}


def problem_of(failure: Exception) -> Problem:
    """What is said of a failure. Nothing of its own text, if it is a fault of ours."""
    if isinstance(failure, StoreFailure):
        title = STORES[failure.store]
        return Problem(503, title, failure.message, failure.advice, RETRY_AFTER)
    if isinstance(
        failure, RedisError
    ):  # as no right to a command; its text may quote what was sent
        line = f"Redis refuses what it is asked ({type(failure).__name__})"
        return Problem(503, STORES["Redis"], line, "read its log", RETRY_AFTER)
    if isinstance(failure, HTTPException):
        return _of_routing(failure)
    for kind in type(failure).__mro__:
        if kind in STATUSES:
            status, title = STATUSES[kind]
            return Problem(status, title, str(failure), retry_after=_retry_after(failure))
    return Problem(500, "A fault of ours", "this is a fault of ours, and is in the log")


def log_problem(request: Request, failure: Exception, problem: Problem) -> None:
    """Say in the log what is not a person's doing."""
    if problem.status < 500:
        return
    if problem.status == 500:
        log.error("page failed", call=call_of(request.scope), error_class=type(failure).__name__)
        bugs.report(failure, call=call_of(request.scope))
        return
    log.warning("page not shown", call=call_of(request.scope), error=problem.line)


def _of_routing(failure: HTTPException) -> Problem:
    if failure.status_code == 405:
        return Problem(405, "Not done", "this address does not take that method")
    return Problem(failure.status_code, "Not found", "the console has no such page")


def _retry_after(failure: Exception) -> int | None:
    if isinstance(failure, TooManyTries):
        return failure.seconds
    return RETRY_AFTER if isinstance(failure, Transient) else None
