"""Calls to Stripe, over its own package: answers as observations, errors as ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any

import stripe
from stripe.identity import VerificationSession

from app.domain.errors import Permanent, Transient
from app.domain.event import api_answer
from app.domain.session import Observation

# Seconds for one call; Stripe answers in well under one.
TIMEOUT = 10


class StripeUnavailable(Transient):
    """Stripe cannot be reached, limits us, or failed itself: tried again later."""


class StripeRefused(Permanent):
    """Stripe will not do it: look at the code, and at the key's rights."""

    def __init__(self, message: str, code: str | None) -> None:
        """`code` is Stripe's, None where it gave none."""
        super().__init__(message)
        self.code = code


class StripeApi:
    """The calls we make, for the team's own account or a connected one."""

    def __init__(self, key: str, base: str, metadata_keys: Sequence[str] = ()) -> None:
        """`base` is STRIPE_API_BASE; `metadata_keys` are REFERENCE_METADATA_KEYS."""
        self._client = stripe.StripeClient(
            key,
            base_addresses={"api": base},
            http_client=stripe.RequestsClient(timeout=TIMEOUT),
            # Our own queue tries again, with patience; a retry here would only hold a worker up.
            max_network_retries=0,
        )
        self._metadata_keys = metadata_keys

    def retrieve(self, session_id: str, account: str) -> Observation:
        """What is true of a session now."""
        return self._observe(self._sessions.retrieve, session_id, account)

    def cancel(self, session_id: str, account: str, idempotency_key: str) -> Observation:
        """Close a session that is in `requires_input`."""
        return self._observe(self._sessions.cancel, session_id, account, idempotency_key)

    def redact(self, session_id: str, account: str, idempotency_key: str) -> Observation:
        """Have Stripe remove the person's data, which takes it up to four days."""
        return self._observe(self._sessions.redact, session_id, account, idempotency_key)

    @property
    def _sessions(self) -> Any:
        return self._client.v1.identity.verification_sessions

    def _observe(
        self,
        call: Callable[..., VerificationSession],
        session_id: str,
        account: str,
        idempotency_key: str | None = None,
    ) -> Observation:
        options = {}
        if account:
            options["stripe_account"] = account
        if idempotency_key:
            options["idempotency_key"] = idempotency_key
        with translated_errors():
            session = call(session_id, options=options)
            return api_answer(
                session.to_dict(recursive=True),
                account=account,
                date=answered_at(session),
                metadata_keys=self._metadata_keys,
            )


def answered_at(answer: stripe.StripeObject) -> int:
    """An answer's Date header, in Unix seconds. Raises StripeUnavailable where it has none."""
    response = answer.last_response
    headers = {} if response is None else (response.headers or {})
    date = next((value for name, value in headers.items() if name.lower() == "date"), "")
    try:
        return int(parsedate_to_datetime(date).timestamp())
    except ValueError:
        raise StripeUnavailable("the answer has no Date: is a proxy in between?") from None


@contextmanager
def translated_errors() -> Iterator[None]:
    """Stripe's exceptions as ours; the text is built from its codes, never from its message."""
    try:
        yield
    except (stripe.APIConnectionError, stripe.RateLimitError) as error:
        raise StripeUnavailable(f"Stripe is out of reach ({type(error).__name__})") from None
    except stripe.StripeError as error:
        told = f"Stripe answered {error.http_status} {error.code or type(error).__name__}"
        # 409: another call with the same idempotency key is under way.
        if error.http_status in (409, 429) or (error.http_status or 500) >= 500:
            raise StripeUnavailable(told) from None
        raise StripeRefused(told, error.code) from None
