"""Stripe's exceptions as ours: what passes with time, what does not, and what Stripe answered."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import stripe
from requests.exceptions import ReadTimeout
from rq.timeouts import JobTimeoutException

from app.domain.errors import IdentityError, Permanent, Transient
from app.domain.fields import ID


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """Stripe's answer, for the caller only: its text may quote what the caller sent."""

    status: int | None = None
    error: Mapping[str, Any] | None = None  # None if the answer is not of Stripe's shape
    retry_after: str | None = None  # seconds, if Stripe said so
    should_retry: str | None = None  # "true" or "false", if Stripe said so to its packages
    request_id: str | None = None


NO_ANSWER = ErrorAnswer()
LATE = "Stripe did not answer in time"
NOT_STRIPES = "the answer is not Stripe's: is a proxy in between?"


class StripeFailure(IdentityError):
    """A call to Stripe failed. The text is built from codes; `answer` is for the caller only."""

    def __init__(self, message: str, answer: ErrorAnswer = NO_ANSWER) -> None:
        """`message` must quote nothing of what was sent or answered."""
        super().__init__(message)
        self.answer = answer

    @property
    def status(self) -> int | None:
        """Stripe's HTTP status; None if it did not answer."""
        return self.answer.status

    @property
    def code(self) -> str | None:
        """Stripe's error code; None if it gave none."""
        return None if self.answer.error is None else self.answer.error.get("code")


class StripeUnavailable(StripeFailure, Transient):
    """Stripe cannot be reached, limits us, or has failed itself: tried again later."""


class StripeRefused(StripeFailure, Permanent):
    """Stripe refuses the call: check the code, and the key's rights."""


class SessionMissing(StripeRefused):
    """Stripe does not know the session: it is another account's, or another mode's."""


@contextmanager
def translated_errors() -> Iterator[None]:
    """Stripe's exceptions as ours; the text is built from its codes, never from its message."""
    try:
        yield
        return
    except AttributeError:
        # The package cannot take an error of another shape than Stripe's: a proxy's, most likely.
        failure: StripeFailure = StripeUnavailable(NOT_STRIPES)
    except stripe.APIConnectionError as error:
        late = isinstance(error.__cause__, ReadTimeout | JobTimeoutException)
        failure = StripeUnavailable(LATE if late else "Stripe is out of reach")
    except JobTimeoutException:  # the job waited for Stripe alone: it is no fault of its own
        failure = StripeUnavailable(LATE)
    except stripe.StripeError as error:
        failure = _translate(error)
    # Outside of the handler: Stripe's exception, whose text may quote the person, is not chained.
    raise failure from None


def _translate(error: stripe.StripeError) -> StripeFailure:
    status = error.http_status
    if status is not None and 300 <= status < 400:
        redirect = f"a redirect ({status}) is not followed: look at STRIPE_API_BASE"
        return StripeUnavailable(redirect, _answer_of(error))
    message = f"Stripe answered {status} {error.code or type(error).__name__}"
    answer = _answer_of(error)
    # Under 400: a page of a proxy, not Stripe's answer.
    # 409: another call with the same idempotency key is under way.
    if status is None or status < 400 or status in (409, 429) or status >= 500:
        return StripeUnavailable(message, answer)
    if error.code == "resource_missing":
        return SessionMissing(message, answer)
    return StripeRefused(message, answer)


def request_id_in(headers: Mapping[str, str] | None) -> str | None:
    """Stripe's name for the call; None if the answer has none that is of an id's form."""
    found = header_in(headers, "request-id")
    return found if ID.match(found) else None


def _answer_of(error: stripe.StripeError) -> ErrorAnswer:
    seconds = header_in(error.headers, "retry-after")
    retried = header_in(error.headers, "stripe-should-retry")
    return ErrorAnswer(
        error.http_status,
        _error_of(error.json_body),
        retry_after=seconds if re.fullmatch(r"[0-9]{1,5}", seconds) else None,
        should_retry=retried if retried in ("true", "false") else None,
        request_id=request_id_in(error.headers),
    )


def _error_of(body: object) -> Mapping[str, Any] | None:
    error = body.get("error") if isinstance(body, Mapping) else None
    return error if isinstance(error, Mapping) else None


def header_in(headers: Mapping[str, str] | None, name: str) -> str:
    """The value of the header of this name in lower case; "" if there is none."""
    return {each.lower(): value for each, value in (headers or {}).items()}.get(name, "")
