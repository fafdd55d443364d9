"""What a team's backend and its users do at Stripe, done at the sandbox."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import requests
import stripe

REQUEST_TIMEOUT = 30


@dataclass(frozen=True, slots=True)
class Truth:
    """What Stripe says of a reference, worked out from its sessions without our domain's code."""

    status: str
    session_id: str
    last_error: str | None
    attempts: int
    redaction: str | None


class StripeSide:
    """Sessions are made by Stripe's own package; people act through the sandbox."""

    def __init__(self, base: str, api_key: str) -> None:
        """`base` is the sandbox's address."""
        self._base = base
        self._client = stripe.StripeClient(
            api_key, base_addresses={"api": base}, max_network_retries=2
        )
        self._http = requests.Session()
        self._http.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=32))

    @property
    def _sessions(self) -> Any:
        return self._client.v1.identity.verification_sessions

    def create(self, reference: str) -> str:
        """Open a session for a reference; gives its id."""
        session = self._sessions.create({"type": "document", "client_reference_id": reference})
        return str(session.id)

    def cancel(self, session_id: str) -> None:
        """The team closes the session."""
        self._sessions.cancel(session_id)

    def redact(self, session_id: str) -> None:
        """The team has the person's data removed."""
        self._sessions.redact(session_id)

    def submit(self, session_id: str, outcome: str, delay: float = 0) -> None:
        """The person submits; Stripe comes to `outcome` after `delay` seconds."""
        self.control(f"sessions/{session_id}/submit", {"outcome": outcome, "delay": delay})

    def control(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask the sandbox, or tell it something where there is a body."""
        url = f"{self._base}/_sandbox/{path}"
        answer = (
            self._http.get(url, timeout=REQUEST_TIMEOUT)
            if body is None
            else self._http.post(url, json=body, timeout=REQUEST_TIMEOUT)
        )
        answer.raise_for_status()
        told: dict[str, Any] = answer.json()
        return told

    def truth(self) -> dict[str, Truth]:
        """By reference, what is true now."""
        found: dict[str, list[dict[str, Any]]] = {}
        for session in self.control("sessions")["data"]:
            found.setdefault(session["client_reference_id"], []).append(session)
        return {reference: _decide(sessions) for reference, sessions in found.items()}


def _decide(sessions: list[dict[str, Any]]) -> Truth:
    verified = [s for s in sessions if s["status"] == "verified"]
    alive = [s for s in sessions if s["status"] != "canceled"]
    if verified:
        decisive = max(verified, key=lambda s: (s["status_since"], s["id"]))
    else:
        decisive = max(alive or sessions, key=lambda s: (s["created"], s["id"]))
    return Truth(
        status=decisive["status"],
        session_id=decisive["id"],
        last_error=decisive["last_error"],
        attempts=sum(session["attempts"] for session in sessions),
        redaction=decisive["redaction"],
    )
