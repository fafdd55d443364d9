"""A reference's record as HTTP and the command line give it."""

from __future__ import annotations

import json
from typing import Any

from app.domain.session import Session
from app.ledger.rows import ReferenceRecord


def unknown_reference(where: str) -> str:
    """The message if the ledger has no session of a reference in `where`: a mode, an account."""
    return f"no session of this client_reference_id is known in {where}"


def as_json(record: ReferenceRecord) -> dict[str, Any]:
    """The whole record. Times are Unix seconds."""
    return {
        "client_reference_id": record.client_reference_id,
        "account": record.account,
        "livemode": record.livemode,
        "purpose": record.purpose,
        "standing": record.standing.as_json(),
        "sessions": [
            session_as_json(session, missing=session.id in record.missing)
            for session in record.sessions
        ],
        "timeline": [line._asdict() for line in record.timeline],
    }


def session_as_json(session: Session, *, missing: bool = False) -> dict[str, Any]:
    """A session for readers: Stripe's names, without the merge's own book-keeping.

    `missing` says that Stripe does not know it (any more).
    """
    snapshot = session.snapshot
    return {
        "id": snapshot.id,
        "status": snapshot.status,
        "type": snapshot.type,
        "verification_flow": snapshot.verification_flow,
        "options": None if snapshot.options is None else json.loads(snapshot.options),
        "created": snapshot.created,
        "since": session.status_since,
        "attempts": session.attempts,
        "last_error_code": snapshot.last_error_code,
        "redaction": snapshot.redaction,
        "missing": missing,
    }
