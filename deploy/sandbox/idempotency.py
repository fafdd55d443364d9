"""Stripe's idempotency keys: https://docs.stripe.com/api/idempotent_requests."""

from collections.abc import Callable
from dataclasses import dataclass

from deploy.sandbox.accounts import Scope
from deploy.sandbox.errors import StripeError

MAX_LENGTH = 255
# "Keys can be removed from the system automatically after they're at least 24 hours old."
KEPT_SECONDS = 24 * 3600.0


@dataclass(frozen=True)
class Answer:
    """A whole answer of the API, so that it can be repeated."""

    status: int
    body: bytes
    headers: dict[str, str]
    request_id: str


@dataclass
class _Entry:
    fingerprint: bytes
    begun: float
    answer: Answer | None = None


class Idempotency:
    """Answers by account, mode and key. `now` gives the sandbox's time in seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._entries: dict[tuple[Scope, str], _Entry] = {}

    def begin(self, scope: Scope, key: str, fingerprint: bytes) -> Answer | None:
        """The stored answer, or None if the request is to be executed and then ended.

        Raises StripeError: 400 for a key that is too long or was used with other parameters
        (`fingerprint`: method, path, body), 409 while the first request is under way.
        """
        if len(key) > MAX_LENGTH:
            raise StripeError(400, f"Idempotency key is too long: at most {MAX_LENGTH} characters.")
        entry = self._entries.get((scope, key))
        if entry is None or (entry.answer and entry.begun + KEPT_SECONDS <= self._now()):
            self._entries[scope, key] = _Entry(fingerprint, self._now())
            return None
        if entry.fingerprint != fingerprint:
            raise StripeError(
                400,
                "Keys for idempotent requests can only be used with the same parameters they were "
                f"first used with. Try using a key other than '{key}' if you meant to execute a "
                "different request.",
                type="idempotency_error",
            )
        if entry.answer is None:
            raise StripeError(
                409,
                "There is currently another in-progress request using this Idempotent Key "
                f"('{key}'). Please try again later.",
                type="idempotency_error",
                code="idempotency_key_in_use",
            )
        return entry.answer

    def end(self, scope: Scope, key: str, answer: Answer | None) -> None:
        """Keep the answer; None releases the key, as after refused parameters."""
        if answer is None:
            del self._entries[scope, key]
        else:
            self._entries[scope, key].answer = answer
