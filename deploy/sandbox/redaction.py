"""What redaction leaves of an object.

Stripe: fields with personal data are "replaced by the string [redacted] or a similar
placeholder", metadata is erased, and reports and events are redacted with the session
(https://docs.stripe.com/api/identity/verification_sessions/redact).
"""

from typing import Any

from deploy.sandbox.session import CANCELED, REQUIRES_INPUT, VERIFIED, Session

# Whether a canceled session can be redacted. Stripe: "A VerificationSession object can be redacted
# when it is in `requires_input` or `verified` status". Whether it refuses a canceled one nobody
# says. Our reading: one that was canceled after attempts holds a person's documents, and can be
# redacted (ATTEMPTED); one that holds nothing cannot.
ALLOWED, ATTEMPTED, REFUSED = "allowed", "attempted", "refused"
CANCELED_RULES = (ALLOWED, ATTEMPTED, REFUSED)

PLACEHOLDER = "[redacted]"
_CHECKS = ("document", "id_number", "selfie", "email", "phone")
# Stripe's words, not a person's.
_KEPT_IN_CHECKS = ("status", "code", "type", "id_number_type", "issuing_country")
_KEPT_OUTPUTS = ("id_number_type",)


def redactable(session: Session, canceled: str) -> tuple[str, ...]:
    """The statuses that a session can be redacted in, by one of CANCELED_RULES."""
    if canceled == ALLOWED or (canceled == ATTEMPTED and session.was_attempted):
        return REQUIRES_INPUT, VERIFIED, CANCELED
    return REQUIRES_INPUT, VERIFIED


def blank(value: Any, kept: tuple[str, ...] = ()) -> Any:
    """The same shape with text replaced, numbers and files gone, and `kept` keys as they were."""
    if isinstance(value, dict):
        return {key: old if key in kept else blank(old, kept) for key, old in value.items()}
    if isinstance(value, list):
        return []
    return PLACEHOLDER if isinstance(value, str) else None


def redact_session(session: Session) -> None:
    """Remove everything personal from a session; ids, codes and status stay."""
    session.metadata = {}
    session.provided_details = blank(session.provided_details)
    session.verified_outputs = blank(session.verified_outputs, _KEPT_OUTPUTS)
    session.return_url = None
    if session.last_error is not None:
        session.last_error = {"code": session.last_error["code"], "reason": PLACEHOLDER}


def redact_snapshot(snapshot: dict[str, Any]) -> dict[str, Any]:
    """A session's snapshot, as an event keeps it, without what is personal or secret."""
    redacted = {**snapshot, "client_secret": None, "url": None, "metadata": {}}
    redacted["provided_details"] = blank(snapshot["provided_details"])
    if snapshot["last_error"] is not None:
        redacted["last_error"] = {"code": snapshot["last_error"]["code"], "reason": PLACEHOLDER}
    if "verified_outputs" in snapshot:
        redacted["verified_outputs"] = blank(snapshot["verified_outputs"], _KEPT_OUTPUTS)
    return redacted


def redact_report(report: dict[str, Any]) -> dict[str, Any]:
    """A report whose checks keep their outcomes, and nothing personal."""
    checks = {name: blank(report[name], _KEPT_IN_CHECKS) for name in _CHECKS if name in report}
    return {**report, **checks}
