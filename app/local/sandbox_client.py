"""A client of the sandbox: acts as a team's backend and as its users."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any

import requests
import stripe

REQUEST_TIMEOUT = 30  # seconds


@dataclass(frozen=True, slots=True)
class Truth:
    """A reference's standing by Stripe's sessions, computed without our domain's code."""

    status: str
    session_id: str
    last_error: str | None
    attempts: int
    redaction: str | None


@dataclass(frozen=True, slots=True)
class Event:
    """One of Stripe's events, as its list shows it."""

    id: str
    name: str  # the last part of its type
    session: str
    reference: str


class SandboxClient:
    """Creates sessions through Stripe's own package, and submits them at the sandbox."""

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
        """Open a session for a reference; returns its id."""
        session = self._sessions.create({"type": "document", "client_reference_id": reference})
        return str(session.id)

    def cancel(self, session_id: str) -> None:
        """Cancel the session, as the team does."""
        self._sessions.cancel(session_id)

    def redact(self, session_id: str) -> None:
        """Have the person's data removed, as the team does."""
        self._sessions.redact(session_id)

    def submit(self, session_id: str, outcome: str, delay: float = 0) -> None:
        """Submit as the person does; Stripe reaches `outcome` after `delay` seconds."""
        self.control(f"sessions/{session_id}/submit", {"outcome": outcome, "delay": delay})

    def control(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """GET `/_sandbox/` and the path, or POST if there is a body; returns the JSON answer."""
        url = f"{self._base}/_sandbox/{path}"
        answer = (
            self._http.get(url, timeout=REQUEST_TIMEOUT)
            if body is None
            else self._http.post(url, json=body, timeout=REQUEST_TIMEOUT)
        )
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def newest_events(self, count: int) -> list[Event]:
        """As many of the newest, or fewer if there are no more; oldest first."""
        listed = self._client.v1.events.list({"limit": 100}).auto_paging_iter()
        found = []
        for event in islice(listed, count):
            session: Any = event.data.object
            name = event.type.rpartition(".")[2]
            found.append(Event(event.id, name, session["id"], session["client_reference_id"]))
        return found[::-1]

    def truth(self) -> dict[str, Truth]:
        """Each reference's standing now."""
        found: dict[str, list[dict[str, Any]]] = {}
        for session in self.control("sessions")["data"]:
            found.setdefault(session["client_reference_id"], []).append(session)
        return {reference: _decide(sessions) for reference, sessions in found.items()}


def _decide(sessions: list[dict[str, Any]]) -> Truth:
    verified = [s for s in sessions if s["status"] == "verified"]
    still_open = [s for s in sessions if s["status"] != "canceled"]
    if verified:
        decisive = max(verified, key=lambda s: (s["status_since"], s["id"]))
    else:
        decisive = max(still_open or sessions, key=lambda s: (s["created"], s["id"]))
    return Truth(
        status=decisive["status"],
        session_id=decisive["id"],
        last_error=decisive["last_error"],
        attempts=sum(session["attempts"] for session in sessions),
        redaction=decisive["redaction"],
    )
