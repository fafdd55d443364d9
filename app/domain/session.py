"""A VerificationSession as we know it: a join of everything seen of it, in any order."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from types import MappingProxyType
from typing import Any, NamedTuple

from app.domain.attempts import (
    NO_ATTEMPTS,
    FailedAttempt,
    each_once,
    failed_attempts,
    join_attempts,
)
from app.domain.fields import flag, mapping
from app.domain.registers import ReferenceClaim, Since, join_since, redaction_order
from app.domain.snapshot import (
    NO_METADATA_KEYS,
    MetadataKeys,
    SessionKey,
    Snapshot,
    read_reported_at,
    read_snapshot,
)


class Observation(NamedTuple):
    """A snapshot with when and how it was seen: by an event, or by an API answer."""

    name: str  # what routes it to a handler: the last part of the event's type
    snapshot: Snapshot
    as_of: int  # seconds: event.created, or an API answer's Date less one
    event_id: str  # "" for an API answer
    transition: bool  # True if this is the event that tells of entering the status
    # When the report was made that an API answer shows in full, in Unix seconds.
    reported_at: int | None = None

    @property
    def key(self) -> SessionKey:
        """What identifies its session."""
        return self.snapshot.key

    @property
    def claim(self) -> ReferenceClaim:
        """The reference that it names, and what for."""
        snapshot = self.snapshot
        return ReferenceClaim.of(
            snapshot,
            reference_as_of=0 if snapshot.reference is None else self.as_of,
            purpose_as_of=self.as_of if snapshot.purpose else 0,
        )

    @property
    def cause(self) -> str:
        """What names it in the timeline and in the ids of its effects."""
        return self.event_id or f"{self.snapshot.id}-{self.as_of}-{self.snapshot.status}"


class Session(NamedTuple):
    """The join of a session's observations. Equal sets of observations give equal sessions."""

    snapshot: Snapshot
    as_of: int
    event_id: str
    redaction_since: int | None  # the first second at which a redaction was seen, of any state
    reference_as_of: int
    purpose_as_of: int = 0  # 0 while none is named
    since: Mapping[str, Since] = MappingProxyType({})  # by status
    failed_attempts: Mapping[str, FailedAttempt] = NO_ATTEMPTS

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
        """The reference it belongs to, and what for."""
        return ReferenceClaim.of(self.snapshot, self.reference_as_of, self.purpose_as_of)

    @property
    def register(self) -> tuple[int, int, str, str, str, str, str, str, str]:
        """What orders status and level. The last parts only make equal keys mean equal values."""
        snapshot = self.snapshot
        return (
            self.as_of,
            rank(snapshot.status, snapshot.last_error_code),
            self.event_id,
            snapshot.status,
            snapshot.last_error_code or "",
            snapshot.type or "",
            snapshot.verification_flow or "",
            snapshot.options or "",
            # Last: a redaction takes it away, and must not change what decides.
            snapshot.report or "",
        )

    @property
    def status_shown(self) -> tuple[str, str, str]:
        """The status with its error and report: what makes one that is seen again nothing new."""
        snapshot = self.snapshot
        return (snapshot.status, snapshot.last_error_code or "", snapshot.report or "")

    @property
    def status_since(self) -> int:
        """The second since which the session has its status."""
        return self.since[self.status].at

    @property
    def submitted(self) -> bool:
        """Whether anything was ever submitted to it, as far as we know: Stripe then holds it."""
        snapshot = self.snapshot
        return (
            bool(self.failed_attempts)
            or snapshot.report is not None
            or snapshot.last_error_code is not None
            or not self.since.keys() <= {"requires_input", "canceled"}
        )

    @property
    def redactable_since(self) -> int | None:
        """The second from which REDACT_AFTER_DAYS counts; None while there is nothing to redact.

        Of a verified session, when it was verified; of any other that was submitted to and is not
        being processed, when it last changed, as far as we know.
        """
        snapshot = self.snapshot
        if snapshot.redaction is not None:
            return None
        if snapshot.status == "verified":
            return self.status_since
        if snapshot.status in ("requires_input", "canceled") and self.submitted:
            changed = [since.at for since in self.since.values()]
            return max(changed + [attempt.at for attempt in each_once(self.failed_attempts)])
        return None

    @property
    def attempts(self) -> int:
        """How many of its attempts failed, each counted once."""
        return len(each_once(self.failed_attempts))

    def counted_attempts(self, since: int) -> int:
        """How many of them failed after the second `since`, and count against MAX_ATTEMPTS."""
        failed = self.failed_attempts
        return sum(one.counts and one.at > since for one in each_once(failed)) if failed else 0

    @property
    def verified_since(self) -> int | None:
        """When it was last verified, as far as we know; it need not be so any more."""
        verified = self.since.get("verified")
        return None if verified is None else verified.at


def api_answer(
    session: Mapping[str, Any],
    *,
    account: str,
    date: int,
    took: float = 0,
    metadata_keys: MetadataKeys = NO_METADATA_KEYS,
) -> Observation:
    """What an API answer shows of a session; `date` is its Date, in Unix seconds.

    The call took `took` seconds: so long before the Date, at most, Stripe read the session, and an
    event of that second may have followed. So it counts for the second before. One that shows it
    canceled counts for its Date, as no event can follow that says otherwise ("This cannot be
    undone", https://docs.stripe.com/api/identity/verification_sessions/cancel).
    Raises UnreadableEvent if a field does not have the form Stripe documents.
    """
    livemode = flag(mapping(session, "the session"), "livemode")
    snapshot = read_snapshot(
        session, account=account, livemode=livemode, metadata_keys=metadata_keys
    )
    return Observation(
        name="redacted" if snapshot.redaction == "redacted" else snapshot.status,
        snapshot=snapshot,
        as_of=date if snapshot.status == "canceled" else date - 1 - ceil(took),
        event_id="",
        transition=False,
        reported_at=read_reported_at(session),
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
        snapshot = snapshot._replace(report=None)
    return Session(
        snapshot=snapshot,
        as_of=observation.as_of,
        event_id=observation.event_id,
        redaction_since=None if snapshot.redaction is None else observation.as_of,
        reference_as_of=observation.as_of if snapshot.reference is not None else 0,
        purpose_as_of=observation.as_of if snapshot.purpose else 0,
        since={snapshot.status: _since(observation)},
        failed_attempts=failed_attempts(
            observation.snapshot,
            as_of=observation.as_of,
            entered=observation.transition,
            reported_at=observation.reported_at,
        ),
    )


def merge(session: Session | None, observation: Observation) -> Session:
    """The session after one more observation. Commutative, associative and idempotent."""
    return seen(observation) if session is None else join(session, seen(observation))


def join(one: Session, other: Session) -> Session:
    """The least session that knows what both know. Both have the same key."""
    latest = max(one, other, key=lambda session: session.register)
    claim = one.claim.join(other.claim)
    redaction = max(one.snapshot.redaction, other.snapshot.redaction, key=redaction_order)
    return Session(
        snapshot=Snapshot(  # in full: `replace` takes three times as long, once an event
            id=latest.snapshot.id,
            account=latest.snapshot.account,
            livemode=latest.snapshot.livemode,
            # Fixed at creation at Stripe; `min` keeps the join order-free whatever is sent.
            created=min(one.snapshot.created, other.snapshot.created),
            # What is asked for can be changed until it is submitted.
            type=latest.snapshot.type,
            verification_flow=latest.snapshot.verification_flow,
            options=latest.snapshot.options,
            status=latest.snapshot.status,
            last_error_code=latest.snapshot.last_error_code,
            report=None if redaction == "redacted" else latest.snapshot.report,
            redaction=redaction,
            reference=claim.reference or None,
            reference_source=claim.source,
            purpose=claim.purpose,
        ),
        as_of=latest.as_of,
        event_id=latest.event_id,
        redaction_since=min(
            (s.redaction_since for s in (one, other) if s.redaction_since is not None),
            default=None,
        ),
        reference_as_of=claim.as_of,
        purpose_as_of=claim.purpose_as_of,
        since=join_since(one.since, other.since),
        failed_attempts=join_attempts(one.failed_attempts, other.failed_attempts),
    )


def is_tie(session: Session | None, observation: Observation) -> bool:
    """Whether the observation tells another status of the very second we hold."""
    if session is None or session.as_of != observation.as_of:
        return False
    ours, theirs = session.snapshot, observation.snapshot
    return (ours.status, rank(ours.status, ours.last_error_code)) != (
        theirs.status,
        rank(theirs.status, theirs.last_error_code),
    )


def _since(observation: Observation) -> Since:
    if observation.transition:
        return Since(True, observation.as_of)
    snapshot = observation.snapshot
    # Nothing was submitted yet: so it has been from the start.
    if rank(snapshot.status, snapshot.last_error_code) == 0:
        return Since(True, snapshot.created)
    # "Finished processing the VerificationReport": the report is what made it verified.
    if snapshot.status == "verified" and observation.reported_at is not None:
        return Since(False, observation.reported_at)
    return Since(False, observation.as_of)
