"""What the ledger says of a reference: its standing, from all its sessions."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from app.domain.session import Session


class ReferenceKey(NamedTuple):
    """What identifies a reference: one user of one account and one mode."""

    account: str  # "" is the team's own account; Connect names another
    livemode: bool
    reference: str

    @property
    def digest(self) -> str:
        """A fixed-size form for stores: 64 hexadecimal digits."""
        return _digest(self)


@lru_cache(maxsize=4096)  # a batch asks for each of its few hundred keys several times
def _digest(key: ReferenceKey) -> str:
    # JSON quotes, so no two keys share an encoding.
    return sha256(json.dumps(key).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Standing:
    """The outcome for one reference. Times are Unix seconds."""

    status: str  # Stripe's four, or "none" if every session has moved to another reference
    session_id: str | None
    since: int | None
    verified_at: int | None
    attempts: int
    last_error_code: str | None
    next_step: str
    redaction: str | None
    version: int = 0  # grows by one with each change


NO_SESSIONS = Standing("none", None, None, None, 0, None, "submit", None)


def resolve(sessions: Collection[Session]) -> Standing:
    """The standing that a set of sessions gives, in whatever order; its version is 0.

    Any verified session: verified, by the one verified last. Else the newest that is not
    canceled, else the newest canceled.
    """
    if not sessions:
        return NO_SESSIONS
    verified = [session for session in sessions if session.status == "verified"]
    if verified:
        decisive = max(verified, key=lambda session: (session.status_since, session.id))
    else:
        open_sessions = [session for session in sessions if session.status != "canceled"]
        decisive = max(open_sessions or sessions, key=lambda s: (s.snapshot.created, s.id))
    shown = decisive.snapshot
    return Standing(
        status=decisive.status,
        session_id=decisive.id,
        since=decisive.status_since,
        verified_at=decisive.status_since if verified else None,
        attempts=sum(session.attempts for session in sessions),
        last_error_code=shown.last_error_code,
        next_step=next_step(shown.status, shown.last_error_code),
        redaction=shown.redaction,
    )


def with_next_version(before: Standing | None, resolved: Standing) -> Standing:
    """`resolved` with its version: that of `before` if nothing differs, else one more."""
    if before is None:
        return replace(resolved, version=1)
    unchanged = replace(resolved, version=before.version)
    return before if unchanged == before else replace(resolved, version=before.version + 1)


NEXT_STEPS = {
    "abandoned": "retry",
    "device_not_supported": "retry",
    "document_unverified_other": "retry",
    "document_expired": "use_another_document",
    "document_type_not_supported": "use_another_document",
    "document_type_not_allowed": "use_another_document",
    "selfie_document_missing_photo": "use_another_document",
    "consent_declined": "offer_alternative",
    "country_not_supported": "offer_alternative",
    "selfie_manipulated": "review",
    "under_supported_age": "refuse",
}
RETRIED_FAMILIES = ("selfie_", "id_number_", "email_", "phone_")


def next_step(status: str, last_error_code: str | None) -> str:
    """What to ask of the person now. A status or code we do not know is for a human's `review`."""
    if status in ("verified", "canceled"):
        return "none"
    if status == "processing":
        return "wait"
    if status != "requires_input":
        return "review"
    if last_error_code is None:
        return "submit"
    if last_error_code in NEXT_STEPS:
        return NEXT_STEPS[last_error_code]
    return "retry" if last_error_code.startswith(RETRIED_FAMILIES) else "review"
