"""Observations of sessions, and the sessions that they give."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app.domain.session import Observation, Session, merge
from app.domain.snapshot import CLIENT_REFERENCE_ID, Snapshot


def observation(
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
    source: int = CLIENT_REFERENCE_ID,
    purpose: str = "",
    transition: bool | None = None,
    account: str = "",
    livemode: bool = False,
    type: str | None = "document",
    flow: str | None = None,
    options: str | None = None,
    reported_at: int | None = None,
) -> Observation:
    """What an event shows; by default the event that tells of entering `status` in second `at`."""
    return Observation(
        name=name or status,
        snapshot=Snapshot(
            id=session,
            account=account,
            livemode=livemode,
            created=created,
            type=type,
            verification_flow=flow,
            options=options,
            status=status,
            last_error_code=error,
            report=report,
            redaction=redaction,
            reference=reference,
            reference_source=source if reference is not None else 0,
            purpose=purpose,
        ),
        as_of=at,
        event_id=f"evt_{session}_{name or status}_{at}" if event_id is None else event_id,
        transition=name in (None, "created", status) if transition is None else transition,
        reported_at=reported_at,
    )


def answer(
    status: str = "requires_input", at: int = 10, error: str | None = None, **fields: Any
) -> Observation:
    """What an API answer shows; `at` is what it counts for, its Date less one."""
    name = "redacted" if fields.get("redaction") == "redacted" else None
    return observation(status, at, error, name=name, event_id="", transition=False, **fields)


def joined(*observations: Observation) -> Session:
    """The session that these observations give."""
    session = known(observations)
    assert session is not None
    return session


def known(observations: Iterable[Observation]) -> Session | None:
    """The same, None if there is no observation."""
    session = None
    for one in observations:
        session = merge(session, one)
    return session
