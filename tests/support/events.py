"""Stripe's own shapes as dicts, full of what must be dropped."""

from __future__ import annotations

import copy
from hashlib import sha256
from typing import Any

from app.domain.event import TYPE_PREFIX

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
    livemode: bool = False,
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
        "livemode": livemode,
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
        "verification_flow": "vf_1",
        "verified_outputs": {
            "first_name": f"Jenny {SENSITIVE}",
            "last_name": f"Rosen {SENSITIVE}",
            "dob": {"year": 1984, "month": 2, "day": 29},
            "address": {"line1": f"1 {SENSITIVE} Street", "country": "US"},
            "id_number": f"000-00-{SENSITIVE}",
            "errors": None,
        },
    }


def report_body(id: str = "vr_1", created: int = OPENED) -> dict[str, Any]:
    """A VerificationReport, as it stands in a session where it was expanded."""
    return {
        "id": id,
        "object": "identity.verification_report",
        "created": created,
        "document": {"first_name": f"Jenny {SENSITIVE}", "number": f"C{SENSITIVE}"},
        "selfie": {"selfie": f"file_{SENSITIVE}"},
    }


def report_digest(id: str) -> str:
    """What is kept of a report's id."""
    return sha256(id.encode()).hexdigest()[:32]


def event_body(
    name: str = "created",
    status: str = "requires_input",
    *,
    id: str = "evt_1",
    at: int = OPENED,
    account: str | None = None,
    session: str = "vs_1",
    livemode: bool = False,
    **fields: Any,
) -> dict[str, Any]:
    """An Event of one of Identity's types, `fields` are those of `session_body`."""
    body = {
        "id": id,
        "object": "event",
        "api_version": "2025-01-27.acacia",
        "created": at,
        "data": {
            "object": session_body(session, status, livemode=livemode, **fields),
            "previous_attributes": {"verified_outputs": {"first_name": SENSITIVE}},
        },
        "livemode": livemode,
        "pending_webhooks": 1,
        "request": {"id": f"req_{SENSITIVE}", "idempotency_key": SENSITIVE},
        "type": TYPE_PREFIX + name,
    }
    return body if account is None else {**body, "account": account}


def thin_body(name: str = "verified", **fields: Any) -> dict[str, Any]:
    """A thin event of a session of a connected account, with no field null."""
    return {
        "id": "evt_test_65thin",
        "object": "v2.core.event",
        "type": f"v1.{TYPE_PREFIX}{name}",
        "livemode": False,
        "created": "2023-11-14T22:13:20.000Z",  # OPENED
        "context": "acct_1",
        "reason": {"type": "request", "request": {"id": "req_1", "idempotency_key": SENSITIVE}},
        "related_object": {
            "id": "vs_1",
            "type": "identity.verification_session",
            "url": "/v1/identity/verification_sessions/vs_1",
        },
        **fields,
    }


def full_body(**fields: Any) -> dict[str, Any]:
    """An event in which no field is null, so that every one can be spoilt."""
    return event_body(
        "requires_input",
        account="acct_1",
        **{
            "error": "document_expired",
            "report": report_body(),
            "redaction": "processing",
            "metadata": {"user_id": "u-1", "userId": "u-2"},
            **fields,
        },
    )


def paths(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [path]
    if isinstance(value, dict):
        for key, inner in value.items():
            found += paths(inner, (*path, key))
    return found


def at(body: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        body = body[key]
    return body


def with_value(body: dict[str, Any], path: tuple[str, ...], value: Any) -> Any:
    if not path:
        return value
    changed = copy.deepcopy(body)
    at(changed, path[:-1])[path[-1]] = value
    return changed
