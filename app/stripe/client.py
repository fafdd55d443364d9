"""Calls to Stripe, through its own package: answers as observations, errors as ours."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import stripe
from stripe.identity import VerificationSession

from app.configuration.settings import Settings
from app.domain.session import Observation, api_answer
from app.domain.snapshot import NO_METADATA_KEYS, MetadataKeys, SessionKey
from app.stripe.accounts import ORGANIZATION_KEY, account_options, ask_own_account
from app.stripe.answers import (
    Page,
    Plain,
    answer_of,
    answered_at,
    header_of,
    object_in,
    page_of,
    request_id_of,
)
from app.stripe.errors import (
    translated_errors,
)
from app.stripe.transport import StripeSession

REPORTS = "/v1/identity/verification_reports"
# Seconds for one call; Stripe answers in well under one.
TIMEOUT = 10
# Of what a job has left: the rest is for what it does with the answer, or with there being none.
SHARE_OF_JOB = 0.9


@dataclass(frozen=True, slots=True)
class Answer:
    """A session as Stripe answers it. The body may hold secrets: it is for the caller only."""

    body: dict[str, Any]
    observation: Observation
    request_id: str | None = None  # Stripe's name for the call
    replayed: bool = False  # an earlier answer, given again for its idempotency key

    @property
    def key(self) -> SessionKey:
        """What identifies the session."""
        return self.observation.key

    @property
    def id(self) -> str:
        """The session's."""
        return self.key.id

    @property
    def status(self) -> str:
        """The session's, now."""
        return self.observation.snapshot.status


# A report as any key may see it, without what identifies the person:
# https://docs.stripe.com/identity/access-verification-results
ANY_KEY_EXPANDS = frozenset({"last_verification_report", "data.last_verification_report"})


class StripeApi:
    """The calls we make, for the team's own account or a connected one."""

    def __init__(
        self,
        key: str,
        base: str,
        metadata_keys: MetadataKeys = NO_METADATA_KEYS,
        restricted_key: str | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`base` is STRIPE_API_BASE; `metadata_keys` are the settings'; `monotonic` times calls.

        `restricted_key` is used for verified data, if the team has a separate key for it.
        """
        self._metadata_keys = metadata_keys
        self._monotonic = monotonic
        self._client = _client(key, base)
        self._restricted = _client(restricted_key, base) if restricted_key else self._client
        self._own_account: str | None = None
        # Of no account: each of its calls names one.
        self.of_organization = key.startswith(ORGANIZATION_KEY)

    def own_account(self) -> str | None:
        """The id (acct_…) of the account that the key belongs to; None if Stripe does not say.

        A key never changes its account, so what Stripe has said is not asked again.
        """
        if self._own_account is None and not self.of_organization:
            self._own_account = ask_own_account(self._client)
        return self._own_account

    def retrieve(self, session_id: str, account: str) -> Observation:
        """A session's current state."""
        return self.fetch(session_id, account).observation

    def fetch(
        self,
        session_id: str,
        account: str,
        expand: Sequence[str] = (),
        others: Mapping[str, Any] | None = None,
    ) -> Answer:
        """A session with a fresh `url` and `client_secret`, and what `expand` names.

        `others` are the caller's other parameters: Stripe has none today.
        """
        client = self._client_for(expand)
        sessions: Any = client.v1.identity.verification_sessions
        params = {**(others or {}), **({"expand": list(expand)} if expand else {})}
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
        client = self._client_for(params.get("expand", ()))
        path = "/v1/identity/verification_sessions"
        began = self._monotonic()
        page = page_of(client, path, params, self._options(account))
        return replace(page, took=self._monotonic() - began)

    def get_report(self, report_id: str, params: Mapping[str, Any], account: str) -> Plain:
        """A VerificationReport: what a person submitted, and what Stripe found."""
        return self._get_plain(f"{REPORTS}/{report_id}", params, account)

    def list_reports(self, params: Mapping[str, Any], account: str) -> Plain:
        """A page of them, newest first, with Stripe's own filters."""
        return self._get_plain(REPORTS, params, account)

    def _get_plain(self, path: str, params: Mapping[str, Any], account: str) -> Plain:
        client = self._client_for(params.get("expand", ()))
        response = answer_of(client, path, params, self._options(account))
        return Plain(object_in(response), request_id_of(response))

    def list_events(self, params: dict[str, Any], account: str = "") -> Page:
        """Events of the last 30 days, newest first, with Stripe's own filters."""
        return page_of(self._client, "/v1/events", params, self._options(account))

    def list_webhook_endpoints(self) -> Page:
        """The team's webhook endpoints: Stripe allows 16 for each mode."""
        return page_of(self._client, "/v1/webhook_endpoints", {"limit": 100})

    def list_event_destinations(self) -> Page:
        """The destinations of API v2, with their addresses: no account has a hundred."""
        params = {"include": ["webhook_endpoint.url"], "limit": 100}
        return page_of(self._client, "/v2/core/event_destinations", params)

    def observe(self, session: Mapping[str, Any], page: Page, account: str = "") -> Observation:
        """The observation of a session that an account's page lists."""
        return api_answer(
            session,
            account=account,
            date=page.date,
            took=page.took,
            metadata_keys=self._metadata_keys,
        )

    def listed(self, session: dict[str, Any], page: Page, account: str) -> Answer:
        """A session of a page, as if it had been retrieved. Raises UnreadableEvent."""
        return Answer(session, self.observe(session, page, account), page.request_id)

    def _client_for(self, expand: Iterable[str]) -> stripe.StripeClient:
        return self._client if ANY_KEY_EXPANDS.issuperset(expand) else self._restricted

    def _options(self, account: str) -> dict[str, str]:
        return account_options(account, organization=self.of_organization)

    @property
    def _sessions(self) -> Any:
        return self._client.v1.identity.verification_sessions

    def _answer(
        self,
        account: str,
        call: Callable[[dict[str, str]], VerificationSession],
        idempotency_key: str | None = None,
    ) -> Answer:
        options = self._options(account)
        if idempotency_key:
            options["idempotency_key"] = idempotency_key
        with translated_errors():
            began = self._monotonic()
            session = call(options)
            took = self._monotonic() - began
            response = session.last_response
            body = session.to_dict(recursive=True)
            observation = api_answer(
                body,
                account=account,
                date=answered_at(response),
                took=took,
                metadata_keys=self._metadata_keys,
            )
            # https://docs.stripe.com/api/idempotent_requests
            replayed = header_of(response, "idempotent-replayed") == "true"
            return Answer(body, observation, request_id_of(response), replayed)


def open_stripe(settings: Settings) -> StripeApi | None:
    """The API of the environment's settings; None if there is no key."""
    key, restricted = settings.stripe_api_key, settings.stripe_restricted_key
    if key is None:
        return None
    return StripeApi(
        str(key),
        settings.stripe_api_base,
        settings.metadata_keys,
        str(restricted) if restricted else None,
    )


def _client(key: str, base: str) -> stripe.StripeClient:
    return stripe.StripeClient(
        key,
        base_addresses={"api": base},
        http_client=_WithinJob(session=StripeSession()),
        # Our own queue retries, with backoff; a retry here would only hold up a worker.
        max_network_retries=0,
    )


class _WithinJob(stripe.RequestsClient):
    """Waits for no call longer than the job that makes it has left."""

    def request(self, *call: Any, **options: Any) -> Any:
        """One call, as the package makes it."""
        # The worker's time limit (workers/time_limit.py); 0 where there is none, as in `web`.
        left, _ = signal.getitimer(signal.ITIMER_REAL)
        self._timeout = min(TIMEOUT, left * SHARE_OF_JOB) if left else TIMEOUT
        return super().request(*call, **options)
