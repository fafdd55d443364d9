"""What one person does at the sandbox of a running `dev`, and what the ledger says afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote

import requests

from app.configuration.settings import Settings
from app.local.fault_injection import applied_names, broken_session
from app.local.running import Running
from app.queue.dead_letters import DeadLetter
from app.queue.model import EVENTS
from app.stores import Stores, opened_stores

# How a submission can end at the sandbox; a test holds this to its own list.
OUTCOMES = (
    "verified",
    "abandoned",
    "consent_declined",
    "country_not_supported",
    "device_not_supported",
    "document_expired",
    "document_type_not_allowed",
    "document_type_not_supported",
    "document_unverified_other",
    "email_unverified_other",
    "email_verification_declined",
    "id_number_insufficient_document_data",
    "id_number_mismatch",
    "id_number_unverified_other",
    "phone_unverified_other",
    "phone_verification_declined",
    "selfie_document_missing_photo",
    "selfie_face_mismatch",
    "selfie_manipulated",
    "selfie_unverified_other",
    "under_supported_age",
    "walk_away",
)
# Seconds. A laptop takes one.
TIMEOUT = 30.0
REQUEST_TIMEOUT = 30
POLL_INTERVAL = 0.1
# The events that a submission causes which Stripe accepts.
SUBMITTED = {"processing", "verified"}

T = TypeVar("T")


class TriggerFailed(Exception):
    """It could not be done, or has not arrived; the text is one line that says why."""


class Trigger:
    """Acts as a team's backend, and as one of its users."""

    def __init__(self, running: Running) -> None:
        """Raises TriggerFailed if the `dev` is an account at Stripe, where nobody can act so."""
        if running.sandbox is None:
            raise TriggerFailed(
                "this `dev` is your account at Stripe, where only a person can submit: open the "
                "session's url in a browser, or see `stripe trigger --help`"
            )
        self._running = running
        self._sandbox = running.sandbox

    def open(self, reference: str) -> str:
        """Start or resume a verification for the user, even a verified one; the session's id."""
        fields = {"type": "document", "client_reference_id": reference, "reverify": "true"}
        return str(self._ours("POST", "/v1/verification_sessions", fields)["id"])

    def submit(self, session: str, outcome: str) -> None:
        """Submit as the person does, and decide as Stripe does."""
        url = f"{self._sandbox}/_sandbox/sessions/{session}/submit"
        self._call("POST", url, json={"outcome": outcome})

    def await_record(self, reference: str, session: str) -> dict[str, Any]:
        """The user's record, once it shows of the session what the sandbox shows."""

        def look() -> dict[str, Any] | None:
            record = self.record(reference)
            ours = next((each for each in record["sessions"] if each["id"] == session), None)
            same = ours is not None and _shown(ours, "last_error_code") == self._truth(session)
            return record if same else None

        return _await(look, f"{session} has not arrived in the ledger as Stripe shows it")

    def bury_verified(self, session: str) -> list[DeadLetter]:
        """Break the ledger for the session's events, have it verified, and mend the ledger.

        Gives the events that have become dead letters, newest first.
        """
        with opened_stores(Settings.from_environment(self._running.environment)) as stores:
            # Before the fault: what is lost is the submission, not that there is a session.
            _await(
                lambda: "created" in applied_names(stores.engine, session) or None,
                f"the first event of {session} has not been applied",
            )
            with broken_session(stores.engine, session):
                self.submit(session, "verified")
                return _await(lambda: _letters(stores, session), f"{session} has no dead letter")

    def record(self, reference: str) -> dict[str, Any]:
        """The user's record, as it is now."""
        return self._ours("GET", f"/v1/references/{quote(reference, safe='')}")

    def _truth(self, session: str) -> tuple[Any, ...]:
        found = self._call("GET", f"{self._sandbox}/_sandbox/sessions")["data"]
        return next(_shown(each, "last_error") for each in found if each["id"] == session)

    def _ours(self, method: str, path: str, fields: dict[str, str] | None = None) -> dict[str, Any]:
        authorization = {"Authorization": f"Bearer {self._running.token}"}
        return self._call(method, self._running.web + path, data=fields, headers=authorization)

    def _call(self, method: str, url: str, **options: Any) -> dict[str, Any]:
        try:
            with requests.Session() as http:
                http.trust_env = False  # no proxy: all of it is on this machine
                answer = http.request(method, url, timeout=REQUEST_TIMEOUT, **options)
            found: dict[str, Any] = answer.json()
        except requests.RequestException as error:
            raise TriggerFailed(
                f"{url} does not answer ({type(error).__name__}); the logs are in "
                f"{self._running.folder}"
            ) from None
        if not answer.ok:
            raise TriggerFailed(str(found["error"]["message"]))
        return found


def _shown(session: dict[str, Any], error: str) -> tuple[Any, ...]:
    """What of a session has to be the same here and there; `error` names its failure's code."""
    return tuple(session[name] for name in ("status", error, "attempts", "redaction"))


def _letters(stores: Stores, session: str) -> list[DeadLetter] | None:
    """The dead letters of the session, once both that a submission causes are among them."""
    found = [
        letter
        for letter in stores.dead_letters(EVENTS.name)
        if letter.payload.get("session_id") == session
    ]
    return found if {letter.payload["name"] for letter in found} >= SUBMITTED else None


def _await(look: Callable[[], T | None], late: str) -> T:
    deadline = time.monotonic() + TIMEOUT
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise TriggerFailed(f"{late}, after {TIMEOUT:.0f} s: does a worker run?")
        time.sleep(POLL_INTERVAL)
    return found
