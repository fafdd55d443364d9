"""A VerificationSession as we know it: a join of everything seen of it, in any order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from app.domain.fields import flag, mapping
from app.domain.snapshot import SessionKey, Snapshot, read_snapshot

REDACTIONS = (None, "validated", "processing", "redacted")

# A failed attempt that an API answer shows without a report has no time of its own: it counts as
# one, and only while no event has told of the same session's attempts.
UNTIMED_ATTEMPT = ""


class Since(NamedTuple):
    """When a session came to a status: the second it was entered, or else was first seen."""

    entered: bool  # an event told of entering it
    at: int  # Unix seconds

    @property
    def order(self) -> tuple[bool, int]:
        """The greater wins: entered over seen; then the last entry, or the first sighting."""
        return (self.entered, self.at if self.entered else -self.at)


class ReferenceClaim(NamedTuple):
    """Which reference a session belongs to, and how strongly: the greater wins."""

    source: int
    as_of: int
    reference: str  # "" for none


NO_CLAIM = ReferenceClaim(0, 0, "")


@dataclass(frozen=True, slots=True)
class Observation:
    """A snapshot with when and how it was seen: by an event, or by an API answer."""

    name: str  # what routes it to a handler: the last part of the event's type
    snapshot: Snapshot
    as_of: int  # seconds: event.created, or an API answer's Date less one
    event_id: str  # "" for an API answer
    transition: bool  # True if this is the event that tells of entering the status

    @property
    def key(self) -> SessionKey:
        """What identifies its session."""
        return self.snapshot.key

    @property
    def claim(self) -> ReferenceClaim:
        """The reference that it names."""
        snapshot = self.snapshot
        if snapshot.reference is None:
            return NO_CLAIM
        return ReferenceClaim(snapshot.reference_source, self.as_of, snapshot.reference)

    @property
    def cause(self) -> str:
        """What names it in the timeline and in the ids of its effects."""
        return self.event_id or f"{self.snapshot.id}-{self.as_of}-{self.snapshot.status}"


@dataclass(frozen=True, slots=True)
class Session:
    """The join of a session's observations. Equal sets of observations give equal sessions."""

    snapshot: Snapshot
    as_of: int
    event_id: str
    redaction_since: int | None  # the first second at which a redaction was seen, of any state
    reference_as_of: int
    since: Mapping[str, Since] = field(default_factory=dict)  # by status
    failed_attempts: frozenset[str] = frozenset()

    @property
    def key(self) -> SessionKey:
        """What identifies it."""
        return self.snapshot.key

    @property
    def id(self) -> str:
        """Its vs_… id."""
        return self.snapshot.id

    @property
    def status(self) -> str:
        """Its status, the latest known."""
        return self.snapshot.status

    @property
    def claim(self) -> ReferenceClaim:
        """The reference it belongs to."""
        snapshot = self.snapshot
        return ReferenceClaim(
            snapshot.reference_source, self.reference_as_of, snapshot.reference or ""
        )

    @property
    def register(self) -> tuple[int, int, str, str, str, str]:
        """What orders the status fields. The last parts only make equal keys mean equal values."""
        snapshot = self.snapshot
        return (
            self.as_of,
            rank(snapshot.status, snapshot.last_error_code),
            self.event_id,
            snapshot.status,
            snapshot.last_error_code or "",
            snapshot.report or "",
        )

    @property
    def status_since(self) -> int:
        """The second since which the session has its status."""
        return self.since[self.status].at

    @property
    def attempts(self) -> int:
        """How many of its attempts failed, each counted once."""
        return len(self.failed_attempts - {UNTIMED_ATTEMPT}) or len(self.failed_attempts)


def api_answer(
    session: Mapping[str, Any], *, account: str, date: int, metadata_keys: Sequence[str] = ()
) -> Observation:
    """What an API answer shows of a session; `date` is its Date header in Unix seconds.

    It counts for the second before, so it never outranks an event of its own second.
    Raises UnreadableEvent if a field does not have the form Stripe documents.
    """
    livemode = flag(mapping(session, "the session"), "livemode")
    snapshot = read_snapshot(
        session, account=account, livemode=livemode, metadata_keys=metadata_keys
    )
    return Observation(
        name="redacted" if snapshot.redaction == "redacted" else snapshot.status,
        snapshot=snapshot,
        as_of=date - 1,
        event_id="",
        transition=False,
    )


def rank(status: str, last_error_code: str | None) -> int:
    """Which of two statuses of one second is the later: a session's life read forwards.

    A status Stripe has added since ranks last; the tie's recheck decides.
    """
    if status == "requires_input":
        return 2 if last_error_code else 0
    return {"processing": 1, "verified": 3, "canceled": 4}.get(status, 5)


def seen(observation: Observation) -> Session:
    """The session that is known from one observation alone."""
    snapshot = observation.snapshot
    if snapshot.redaction == "redacted":
        # The report is gone at Stripe, and what led to it has no business here any more.
        snapshot = replace(snapshot, report=None)
    return Session(
        snapshot=snapshot,
        as_of=observation.as_of,
        event_id=observation.event_id,
        redaction_since=None if snapshot.redaction is None else observation.as_of,
        reference_as_of=observation.as_of if snapshot.reference is not None else 0,
        since={snapshot.status: _since(observation)},
        failed_attempts=_failed_attempts(observation),
    )


def merge(session: Session | None, observation: Observation) -> Session:
    """The session after one more observation. Commutative, associative and idempotent."""
    return seen(observation) if session is None else join(session, seen(observation))


def join(one: Session, other: Session) -> Session:
    """The least session that knows what both know. Both have the same key."""
    latest = max(one, other, key=lambda session: session.register)
    claimed = max(one, other, key=lambda session: session.claim)
    redaction = max(one.snapshot.redaction, other.snapshot.redaction, key=_redaction_order)
    return Session(
        snapshot=Snapshot(  # in full: `replace` takes three times as long, once an event
            id=latest.snapshot.id,
            account=latest.snapshot.account,
            livemode=latest.snapshot.livemode,
            # Fixed at creation at Stripe; min and max keep the join order-free whatever is sent.
            created=min(one.snapshot.created, other.snapshot.created),
            type=max(one.snapshot.type, other.snapshot.type, key=lambda kind: kind or ""),
            status=latest.snapshot.status,
            last_error_code=latest.snapshot.last_error_code,
            report=None if redaction == "redacted" else latest.snapshot.report,
            redaction=redaction,
            reference=claimed.snapshot.reference,
            reference_source=claimed.snapshot.reference_source,
        ),
        as_of=latest.as_of,
        event_id=latest.event_id,
        redaction_since=min(
            (s.redaction_since for s in (one, other) if s.redaction_since is not None),
            default=None,
        ),
        reference_as_of=claimed.reference_as_of,
        since=_join_since(one.since, other.since),
        failed_attempts=one.failed_attempts | other.failed_attempts,
    )


def _join_since(one: Mapping[str, Since], other: Mapping[str, Since]) -> dict[str, Since]:
    joined = dict(one)
    for status, since in other.items():
        known = joined.get(status)
        if known is None or known.order < since.order:
            joined[status] = since
    return joined


def is_tie(session: Session | None, observation: Observation) -> bool:
    """Whether the observation tells another status of the very second we hold."""
    if session is None or session.as_of != observation.as_of:
        return False
    ours, theirs = session.snapshot, observation.snapshot
    return (ours.status, rank(ours.status, ours.last_error_code)) != (
        theirs.status,
        rank(theirs.status, theirs.last_error_code),
    )


def _redaction_order(redaction: str | None) -> tuple[int, str]:
    """Stripe's order; a value added since stands between `processing` and `redacted`."""
    if redaction in REDACTIONS:
        return (REDACTIONS.index(redaction) * 2, "")
    return (5, redaction or "")


def _since(observation: Observation) -> Since:
    if observation.transition:
        return Since(True, observation.as_of)
    snapshot = observation.snapshot
    # Nothing was submitted yet: so it has been from the start.
    if rank(snapshot.status, snapshot.last_error_code) == 0:
        return Since(True, snapshot.created)
    return Since(False, observation.as_of)


def _failed_attempts(observation: Observation) -> frozenset[str]:
    snapshot = observation.snapshot
    if snapshot.status != "requires_input" or snapshot.last_error_code is None:
        return frozenset()
    if snapshot.report is not None:
        return frozenset({snapshot.report})
    return frozenset({f"at-{observation.as_of}" if observation.transition else UNTIMED_ATTEMPT})
