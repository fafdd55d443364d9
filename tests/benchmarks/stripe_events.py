"""What Stripe sends: signed events of whole sessions, of the size and form that Stripe's have."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Iterable, Iterator

SECRET = "whsec_benchmarks_0123456789abcdef0123"
PATH = "/webhooks/stripe"

# A session's life: each event's name, the status it brings, and what becomes of its data.
LIFE = (
    ("created", "requires_input", None),
    ("processing", "processing", None),
    ("verified", "verified", None),
    ("redacted", "verified", "redacted"),
)
MINUTE = 60

# Names in capitals are filled in for each event; Stripe indents what it sends.
TEMPLATE = json.dumps(
    {
        "id": "evt_EVENT",
        "object": "event",
        "api_version": "2025-01-27.acacia",
        "created": "AT",
        "data": {
            "object": {
                "id": "vs_SESSION",
                "object": "identity.verification_session",
                "client_reference_id": "user_SESSION",
                "client_secret": "vs_SESSION_secret_test_YWNjdF8xTTJKVGtMa2RJd0h1N2l4",
                "created": "OPENED",
                "last_error": None,
                "last_verification_report": "REPORT",
                "livemode": False,
                "metadata": {"plan": "gold", "campaign": "2025-autumn", "team": "onboarding"},
                "options": {
                    "document": {
                        "allowed_types": ["driving_license", "passport", "id_card"],
                        "require_id_number": False,
                        "require_live_capture": True,
                        "require_matching_selfie": True,
                    }
                },
                "provided_details": {"email": "jenny.rosen@example.com", "phone": "+15555550123"},
                "redaction": "REDACTION",
                "related_customer": "cus_QZ8Jb6Kd2Jr0aL",
                "status": "STATUS",
                "type": "document",
                "url": "https://verify.stripe.com/start/test_YWNjdF8xTTJKVGtMa2RJd0h1N2l4SESSION",
                "verification_flow": None,
            },
            "previous_attributes": {"status": "requires_input"},
        },
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": "req_Vq4b1kXJ2bWn8h", "idempotency_key": "0c5bd1b0-6d2a-4c8e-8d0e"},
        "type": "identity.verification_session.NAME",
    },
    indent=2,
)
HEAD = (
    f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*; q=0.5, application/xml\r\n"
    "Cache-Control: no-cache\r\nContent-Type: application/json; charset=utf-8\r\n"
    "User-Agent: Stripe/1.0 (+https://stripe.com/docs/webhooks)\r\n"
    "Stripe-Signature: t=%d,v1=%s\r\nContent-Length: %d\r\n\r\n"
)
KEY = hmac.new(SECRET.encode(), digestmod=hashlib.sha256)  # copied for each: half the time


def event_id(session: str, step: int) -> str:
    """The id of a session's event; `step` counts in LIFE."""
    return f"evt_{session}_{step}"


def event(session: str, step: int, opened: int) -> bytes:
    """The body of a session's event; the session was opened at `opened`, in Unix seconds."""
    name, status, redaction = LIFE[step]
    report = json.dumps(f"vr_{session}" if status == "verified" else None)
    told = json.dumps(redaction and {"status": redaction})
    text = (
        TEMPLATE.replace("EVENT", f"{session}_{step}")
        .replace("SESSION", session)
        .replace('"AT"', str(opened + step * MINUTE))
        .replace('"OPENED"', str(opened))
        .replace('"REPORT"', report)
        .replace('"REDACTION"', told)
        .replace("STATUS", status)
        .replace("NAME", name)
    )
    return text.encode()


def request(body: bytes) -> bytes:
    """The whole HTTP request that delivers a body, signed now: it is good for 300 seconds."""
    now = int(time.time())
    mac = KEY.copy()
    mac.update(b"%d." % now)
    mac.update(body)
    return (HEAD % (now, mac.hexdigest(), len(body))).encode() + body


def openings(prefix: str, count: int) -> Iterator[bytes]:
    """Requests that each open a session of another user."""
    return deliveries((prefix + str(number) for number in range(count)), [0])


def lives(prefix: str, sessions: int) -> Iterator[bytes]:
    """Requests of whole lives, far apart as in life: all are opened first, then all submitted, …"""
    return deliveries([prefix + str(number) for number in range(sessions)], range(len(LIFE)))


def deliveries(sessions: Iterable[str], steps: Iterable[int]) -> Iterator[bytes]:
    """Requests of these sessions' events, step by step."""
    opened = int(time.time()) - len(LIFE) * MINUTE
    for step in steps:
        for session in sessions:
            yield request(event(session, step, opened))
