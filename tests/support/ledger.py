"""Observations for tests that look into a ledger, and what they look for."""

from __future__ import annotations

from sqlalchemy import Engine, text

from app.domain.change import Policy
from app.domain.session import Observation
from app.domain.snapshot import CLIENT_REFERENCE_ID, METADATA
from app.ledger.engine import for_reading
from tests.support import observations

POLICY = Policy(notify=True)
NOW = 1_000


def observation(
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
    purpose: str = "",
) -> Observation:
    """What an event shows of a session that has entered `status` in second `at`."""
    return observations.observation(
        status,
        at,
        error,
        name="redacted" if redaction == "redacted" else status,
        event_id=f"evt_{session[3:]}_{at}_{status}" if event is None else event,
        session=session,
        created=created,
        redaction=redaction,
        reference=reference,
        source=source,
        transition=redaction is None,
        account=account,
        livemode=livemode,
        purpose=purpose,
    )


def named_in_metadata(status: str, at: int, reference: str, session: str = "vs_1") -> Observation:
    """The same, if the team keeps its reference in the session's metadata."""
    return observation(status, at, session=session, reference=reference, source=METADATA)


def life(session: str = "vs_1", start: int = 100, end: str = "verified") -> list[Observation]:
    """A session's events in order: one failed attempt, then another that ends in `end`."""
    return [
        observation("requires_input", start, session=session, created=start),
        observation("processing", start + 10, session=session, created=start),
        observation(
            "requires_input", start + 20, session=session, created=start, error="abandoned"
        ),
        observation("processing", start + 30, session=session, created=start),
        observation(end, start + 40, session=session, created=start),
    ]


def count_events(engine: Engine) -> int:
    """How many events have been applied."""
    with for_reading(engine).connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM events")).scalar_one())
