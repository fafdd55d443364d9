"""Observations for the ledger's tests."""

from __future__ import annotations

from app.domain.effects import Change, Effect, Policy
from app.domain.session import CLIENT_REFERENCE_ID, METADATA, Observation
from workers.handlers import handle

POLICY = Policy(notify=True)
NOW = 1_000


def sight(
    status: str,
    at: int,
    *,
    session: str = "vs_1",
    reference: str | None = "user_1",
    source: int = CLIENT_REFERENCE_ID,
    created: int = 50,
    error: str | None = None,
    event: str | None = None,
    account: str = "",
    livemode: bool = False,
    redaction: str | None = None,
) -> Observation:
    """An event's sight of a session that has entered `status` in second `at`."""
    return Observation(
        name="redacted" if redaction == "redacted" else status,
        session_id=session,
        account=account,
        livemode=livemode,
        created=created,
        type="document",
        status=status,
        last_error_code=error,
        report=None,
        redaction=redaction,
        reference=reference,
        reference_source=source if reference is not None else 0,
        as_of=at,
        event_id=f"evt_{session[3:]}_{at}_{status}" if event is None else event,
        transition=redaction is None,
    )


def named_in_metadata(status: str, at: int, reference: str, session: str = "vs_1") -> Observation:
    """The same, where the team keeps its reference in the session's metadata."""
    return sight(status, at, session=session, reference=reference, source=METADATA)


def life(session: str = "vs_1", start: int = 100, end: str = "verified") -> list[Observation]:
    """A session's events in order: one failed attempt, then another that ends as told."""
    return [
        sight("requires_input", start, session=session, created=start),
        sight("processing", start + 10, session=session, created=start),
        sight("requires_input", start + 20, session=session, created=start, error="abandoned"),
        sight("processing", start + 30, session=session, created=start),
        sight(end, start + 40, session=session, created=start),
    ]


def nothing(change: Change) -> list[Effect]:
    """Ask for no effects."""
    return []


__all__ = ["NOW", "POLICY", "handle", "life", "named_in_metadata", "nothing", "sight"]
