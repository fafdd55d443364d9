"""Calls to Stripe, through its own package: answers as observations, errors as ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import stripe
from stripe.identity import VerificationSession

from app.domain.session import Observation, api_answer
from app.settings import Settings
from app.stripe.errors import NOT_STRIPES, StripeUnavailable, translated_errors

# Seconds for one call; Stripe answers in well under one.
TIMEOUT = 10


@dataclass(frozen=True, slots=True)
class Answer:
    """A session as Stripe answers it. The body may hold secrets: it is for the caller only."""

    body: dict[str, Any]
    observation: Observation


@dataclass(frozen=True, slots=True)
class Page:
    """A part of one of Stripe's lists, newest first."""

    items: list[dict[str, Any]]
    has_more: bool
    date: int  # the answer's Date, in Unix seconds


class StripeApi:
    """The calls we make, for the team's own account or a connected one."""

    def __init__(
        self,
        key: str,
        base: str,
        metadata_keys: Sequence[str] = (),
        restricted_key: str | None = None,
    ) -> None:
        """`base` is STRIPE_API_BASE; `metadata_keys` are REFERENCE_METADATA_KEYS.

        `restricted_key` is used for verified data, if the team has a separate key for it.
        """
        self._metadata_keys = metadata_keys
        self._client = _client(key, base)
        self._restricted = _client(restricted_key, base) if restricted_key else self._client

    def retrieve(self, session_id: str, account: str) -> Observation:
        """A session's current state."""
        return self.fetch(session_id, account).observation

    def fetch(self, session_id: str, account: str, expand: Sequence[str] = ()) -> Answer:
        """A session with a fresh `url` and `client_secret`, and what `expand` names."""
        client = self._restricted if expand else self._client
        sessions: Any = client.v1.identity.verification_sessions
        params = {"expand": list(expand)} if expand else {}
        return self._answer(account, lambda options: sessions.retrieve(session_id, params, options))

    def create(self, params: dict[str, Any], account: str, idempotency_key: str) -> Answer:
        """Open a session."""
        return self._answer(
            account, lambda options: self._sessions.create(params, options), idempotency_key
        )

    def update(
        self,
        session_id: str,
        params: dict[str, Any],
        account: str,
        idempotency_key: str | None = None,
    ) -> Answer:
        """Change a session in `requires_input`, as far as Stripe allows it."""
        return self._answer(
            account,
            lambda options: self._sessions.update(session_id, params, options),
            idempotency_key,
        )

    def cancel(
        self, session_id: str, account: str, idempotency_key: str | None = None
    ) -> Observation:
        """Close a session that is in `requires_input`."""
        return self.end("cancel", session_id, {}, account, idempotency_key).observation

    def redact(
        self, session_id: str, account: str, idempotency_key: str | None = None
    ) -> Observation:
        """Have Stripe remove the person's data, which takes up to four days."""
        return self.end("redact", session_id, {}, account, idempotency_key).observation

    def end(
        self,
        how: Literal["cancel", "redact"],
        session_id: str,
        params: dict[str, Any],
        account: str,
        idempotency_key: str | None = None,
    ) -> Answer:
        """Cancel or redact, with the whole answer."""
        call = self._sessions.cancel if how == "cancel" else self._sessions.redact
        return self._answer(
            account, lambda options: call(session_id, params, options), idempotency_key
        )

    def list_sessions(self, params: dict[str, Any], account: str = "") -> Page:
        """Sessions, newest first, with Stripe's own filters."""
        options = {"stripe_account": account} if account else {}
        client = self._restricted if params.get("expand") else self._client
        return _page(client, "/v1/identity/verification_sessions", {**params, **options})

    def list_events(self, params: dict[str, Any]) -> Page:
        """Events of the last 30 days, newest first, with Stripe's own filters."""
        return _page(self._client, "/v1/events", params)

    def list_webhook_endpoints(self) -> Page:
        """The team's webhook endpoints: Stripe allows 16 for each mode."""
        return _page(self._client, "/v1/webhook_endpoints", {"limit": 100})

    def observe(self, session: Mapping[str, Any], date: int) -> Observation:
        """The observation of a listed session of the team's own account."""
        return api_answer(session, account="", date=date, metadata_keys=self._metadata_keys)

    @property
    def _sessions(self) -> Any:
        return self._client.v1.identity.verification_sessions

    def _answer(
        self,
        account: str,
        call: Callable[[dict[str, str]], VerificationSession],
        idempotency_key: str | None = None,
    ) -> Answer:
        options = {"stripe_account": account} if account else {}
        if idempotency_key:
            options["idempotency_key"] = idempotency_key
        with translated_errors():
            session = call(options)
            body = session.to_dict(recursive=True)
            observation = api_answer(
                body,
                account=account,
                date=answered_at(session.last_response),
                metadata_keys=self._metadata_keys,
            )
            return Answer(body, observation)


def open_stripe(settings: Settings) -> StripeApi | None:
    """The API of the environment's settings; None if there is no key."""
    key, restricted = settings.stripe_api_key, settings.stripe_restricted_key
    if key is None:
        return None
    return StripeApi(
        str(key),
        settings.stripe_api_base,
        settings.reference_metadata_keys,
        str(restricted) if restricted else None,
    )


def _page(client: stripe.StripeClient, path: str, params: dict[str, Any]) -> Page:
    """A page of a list, as decoded JSON: the package's objects would take ten times as long."""
    with translated_errors():
        response = client.raw_request("get", path, **params)
    found: Any = response.data
    if not isinstance(found, dict) or not isinstance(found.get("data"), list):
        raise StripeUnavailable(NOT_STRIPES)
    return Page(found["data"], bool(found.get("has_more")), answered_at(response))


def _client(key: str, base: str) -> stripe.StripeClient:
    return stripe.StripeClient(
        key,
        base_addresses={"api": base},
        http_client=stripe.RequestsClient(timeout=TIMEOUT),
        # Our own queue retries, with backoff; a retry here would only hold up a worker.
        max_network_retries=0,
    )


def answered_at(response: stripe.StripeResponse | None) -> int:
    """An answer's Date header, in Unix seconds. Raises StripeUnavailable if it has none."""
    headers = {} if response is None else (response.headers or {})
    date = next((value for name, value in headers.items() if name.lower() == "date"), "")
    try:
        return int(parsedate_to_datetime(date).timestamp())
    except ValueError:
        raise StripeUnavailable("the answer has no Date: is a proxy in between?") from None
