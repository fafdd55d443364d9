"""Small builders: Stripe's own shapes as dicts, full of what must be dropped, and observations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app.domain.event import TYPE_PREFIX
from app.domain.session import Observation, Session, merge

# Stands in every value that must never be kept.
SENSITIVE = "KEEP-OUT"
OPENED = 1_700_000_000
METADATA = {"plan": f"gold {SENSITIVE}", "notes": f"call Jenny {SENSITIVE} back"}


def session_body(
    id: str = "vs_1",
    status: str = "requires_input",
    *,
    created: int = OPENED,
    reference: Any = "user-1",
    error: str | None = None,
    report: Any = None,
    redaction: str | None = None,
    metadata: Any = None,
) -> dict[str, Any]:
    """A VerificationSession as Stripe sends it, with every secret and personal field filled."""
    return {
        "id": id,
        "object": "identity.verification_session",
        "client_reference_id": reference,
        "client_secret": f"{id}_secret_test_{SENSITIVE}",
        "created": created,
        "last_error": error
        and {"code": error, "reason": f"The document of Jenny {SENSITIVE} was not accepted."},
        "last_verification_report": report,
        "livemode": False,
        "metadata": METADATA | (metadata or {}),
        "options": {
            "document": {"allowed_types": ["passport"], "require_matching_selfie": True},
            "email": {"require_verification": True, "hint": f"jenny@{SENSITIVE}.example"},
        },
        "provided_details": {"email": f"jenny@{SENSITIVE}.example", "phone": f"+1 {SENSITIVE}"},
        "redaction": redaction and {"status": redaction},
        "related_customer": f"cus_{SENSITIVE}",
        "status": status,
        "type": "document",
        "url": f"https://verify.stripe.com/start/test_{SENSITIVE}",
        "verification_flow": f"vf_{SENSITIVE}",
        "verified_outputs": {
            "first_name": f"Jenny {SENSITIVE}",
            "last_name": f"Rosen {SENSITIVE}",
            "dob": {"year": 1984, "month": 2, "day": 29},
            "address": {"line1": f"1 {SENSITIVE} Street", "country": "US"},
            "id_number": f"000-00-{SENSITIVE}",
            "errors": None,
        },
    }


def report_body(id: str = "vr_1") -> dict[str, Any]:
    """A VerificationReport, as it stands in a session where it was expanded."""
    return {
        "id": id,
        "object": "identity.verification_report",
        "document": {"first_name": f"Jenny {SENSITIVE}", "number": f"C{SENSITIVE}"},
        "selfie": {"selfie": f"file_{SENSITIVE}"},
    }


def event_body(
    name: str = "created",
    status: str = "requires_input",
    *,
    id: str = "evt_1",
    at: int = OPENED,
    account: str | None = None,
    session: str = "vs_1",
    **fields: Any,
) -> dict[str, Any]:
    """An Event of one of Identity's types, `fields` are those of `session_body`."""
    body = {
        "id": id,
        "object": "event",
        "api_version": "2025-01-27.acacia",
        "created": at,
        "data": {
            "object": session_body(session, status, **fields),
            "previous_attributes": {"verified_outputs": {"first_name": SENSITIVE}},
        },
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": f"req_{SENSITIVE}", "idempotency_key": SENSITIVE},
        "type": TYPE_PREFIX + name,
    }
    return body if account is None else {**body, "account": account}


def sight(
    status: str = "requires_input",
    at: int = 10,
    error: str | None = None,
    report: str | None = None,
    *,
    name: str | None = None,
    event_id: str | None = None,
    session: str = "vs_1",
    created: int = 1,
    redaction: str | None = None,
    reference: str | None = "user-1",
    source: int = 2,
    transition: bool | None = None,
) -> Observation:
    """An event's observation; by default the event that tells of entering `status`."""
    return Observation(
        name=name or status,
        session_id=session,
        account="",
        livemode=False,
        created=created,
        type="document",
        status=status,
        last_error_code=error,
        report=report,
        redaction=redaction,
        reference=reference,
        reference_source=source if reference is not None else 0,
        as_of=at,
        event_id=f"evt_{session}_{name or status}_{at}" if event_id is None else event_id,
        transition=name in (None, "created", status) if transition is None else transition,
    )


def answer(
    status: str = "requires_input", at: int = 10, error: str | None = None, **fields: Any
) -> Observation:
    """An API answer's observation; `at` is what it counts for, its Date less one."""
    name = "redacted" if fields.get("redaction") == "redacted" else None
    return sight(status, at, error, name=name, event_id="", transition=False, **fields)


def joined(*observations: Observation) -> Session:
    """The session that these observations give."""
    session = known(observations)
    assert session is not None
    return session


def known(observations: Iterable[Observation]) -> Session | None:
    """The same, None where there is no observation."""
    session = None
    for observation in observations:
        session = merge(session, observation)
    return session
