"""A VerificationSession as we know it: a join of everything seen of it, in any order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

# Where a reference was found, the stronger the higher.
METADATA = 1
CLIENT_REFERENCE_ID = 2

REDACTIONS = (None, "validated", "processing", "redacted")

# A failed attempt that an API answer shows without a report has no time of its own: it counts as
# one, and only while no event has told of the same session's attempts.
UNTIMED_ATTEMPT = ""


@dataclass(frozen=True, slots=True)
class Observation:
    """One sight of a session: an event's snapshot, or an API answer."""

    name: str  # what routes it to a handler: the last part of the event's type
    session_id: str
    account: str
    livemode: bool
    created: int
    type: str | None
    status: str
    last_error_code: str | None
    report: str | None
    redaction: str | None
    reference: str | None
    reference_source: int
    as_of: int  # seconds: event.created, or an API answer's Date less one
    event_id: str  # "" for an API answer
    transition: bool  # True where this is the event that tells of entering `status`

    @property
    def cause(self) -> str:
        """What names this sight in the timeline and in its effects' ids."""
        return self.event_id or f"{self.session_id}-{self.as_of}-{self.status}"


@dataclass(frozen=True, slots=True)
class Session:
    """The join of a session's observations. Equal sets of observations give equal sessions."""

    id: str
    account: str
    livemode: bool
    created: int
    type: str | None
    status: str
    last_error_code: str | None
    report: str | None
    as_of: int
    event_id: str
    redaction: str | None
    redaction_since: int | None  # the first second at which a redaction was seen, of any state
    reference: str | None
    reference_source: int
    reference_as_of: int
    # Per status: the second of the last event that entered it (positive) or, where only API
    # answers or later events showed it, the first second it was seen (negative). The larger wins.
    since: Mapping[str, int] = field(default_factory=dict)
    failed_attempts: frozenset[str] = frozenset()

    @property
    def register(self) -> tuple[int, int, str, str, str, str]:
        """What orders the status fields. The last parts only make equal keys mean equal values."""
        return (
            self.as_of,
            rank(self.status, self.last_error_code),
            self.event_id,
            self.status,
            self.last_error_code or "",
            self.report or "",
        )

    @property
    def status_since(self) -> int:
        """The second since which the session has its status."""
        return abs(self.since[self.status])

    @property
    def attempts(self) -> int:
        """How many of its attempts failed, each counted once."""
        return len(self.failed_attempts - {UNTIMED_ATTEMPT}) or len(self.failed_attempts)


def rank(status: str, last_error_code: str | None) -> int:
    """Which of two statuses of one second is the later: a session's life read forwards.

    A status Stripe has added since ranks last; the tie's check-back settles it.
    """
    if status == "requires_input":
        return 2 if last_error_code else 0
    return {"processing": 1, "verified": 3, "canceled": 4}.get(status, 5)


def seen(observation: Observation) -> Session:
    """The session that is known from one observation alone."""
    redacted = observation.redaction == "redacted"
    return Session(
        id=observation.session_id,
        account=observation.account,
        livemode=observation.livemode,
        created=observation.created,
        type=observation.type,
        status=observation.status,
        last_error_code=observation.last_error_code,
        # The report is gone at Stripe, and what led to it has no business here any more.
        report=None if redacted else observation.report,
        as_of=observation.as_of,
        event_id=observation.event_id,
        redaction=observation.redaction,
        redaction_since=None if observation.redaction is None else observation.as_of,
        reference=observation.reference,
        reference_source=observation.reference_source,
        reference_as_of=observation.as_of if observation.reference is not None else 0,
        since={observation.status: _since(observation)},
        failed_attempts=_failed_attempts(observation),
    )


def merge(session: Session | None, observation: Observation) -> Session:
    """The session after one more observation. Commutative, associative and idempotent."""
    return seen(observation) if session is None else join(session, seen(observation))


def join(one: Session, other: Session) -> Session:
    """The least session that knows what both know. Both have the same id."""
    status = max(one, other, key=lambda session: session.register)
    reference = max(
        one, other, key=lambda s: (s.reference_source, s.reference_as_of, s.reference or "")
    )
    redaction = max(one.redaction, other.redaction, key=_redaction_order)
    return replace(
        status,
        report=None if redaction == "redacted" else status.report,
        # Fixed at creation at Stripe; min and max keep the join order-free whatever is sent.
        created=min(one.created, other.created),
        type=max(one.type, other.type, key=lambda kind: kind or ""),
        redaction=redaction,
        redaction_since=min(
            (s.redaction_since for s in (one, other) if s.redaction_since is not None),
            default=None,
        ),
        reference=reference.reference,
        reference_source=reference.reference_source,
        reference_as_of=reference.reference_as_of,
        since={
            name: max(found[name] for found in (one.since, other.since) if name in found)
            for name in sorted({**one.since, **other.since})
        },
        failed_attempts=one.failed_attempts | other.failed_attempts,
    )


def is_tie(session: Session | None, observation: Observation) -> bool:
    """Whether the observation tells another status of the very second we hold."""
    return (
        session is not None
        and session.as_of == observation.as_of
        and (session.status, rank(session.status, session.last_error_code))
        != (observation.status, rank(observation.status, observation.last_error_code))
    )


def _redaction_order(redaction: str | None) -> tuple[int, str]:
    """Stripe's order; a value added since stands between `processing` and `redacted`."""
    if redaction in REDACTIONS:
        return (REDACTIONS.index(redaction) * 2, "")
    return (5, redaction or "")


def _since(observation: Observation) -> int:
    """When the status was entered, where that is known; else minus when it was seen."""
    if observation.transition:
        return observation.as_of
    # Nothing was submitted yet: so it has been from the start.
    unsubmitted = rank(observation.status, observation.last_error_code) == 0
    return observation.created if unsubmitted else -observation.as_of


def _failed_attempts(observation: Observation) -> frozenset[str]:
    if observation.status != "requires_input" or observation.last_error_code is None:
        return frozenset()
    if observation.report is not None:
        return frozenset({observation.report})
    return frozenset({f"at-{observation.as_of}" if observation.transition else UNTIMED_ATTEMPT})
