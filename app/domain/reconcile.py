"""The whole decision: what the ledger knows, and what was observed, to all that is to be written.

Pure, for one observation or many: many give what they give one by one, in their order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from app.domain.attempts import NO_ATTEMPTS, FailedAttempt
from app.domain.change import Change, Policy
from app.domain.effects import Cancel, Effect, Notify, PendingEffect, effect_id
from app.domain.handlers import handle
from app.domain.session import Observation, Session, merge
from app.domain.snapshot import SessionKey
from app.domain.standing import (
    Expiry,
    ReferenceKey,
    Standing,
    resolve,
    with_granted,
    with_next_version,
)


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger holds of the sessions and references that observations concern."""

    applied_events: frozenset[str] = frozenset()  # of the observations' events
    # The observed sessions, and every session of each reference concerned.
    sessions: Mapping[SessionKey, Session] = field(default_factory=dict)
    standings: Mapping[ReferenceKey, Standing] = field(default_factory=dict)


class TimelineLine(NamedTuple):
    """One change of a standing, and what caused it. Times are Unix seconds."""

    version: int
    previous_status: str | None  # None: the reference was first seen
    status: str
    session_id: str | None
    attempts: int
    last_error_code: str | None
    next_step: str
    redaction: str | None
    cause: str  # the observation's name: `created`, …, `redacted`
    cause_session_id: str
    event_id: str | None  # None: an API answer
    as_of: int  # when Stripe said so
    at: int  # when the ledger wrote it
    note: str | None = None  # why an operator discarded a dead letter


class Applied(NamedTuple):
    """What one observation did. The standings are None for an orphan, and for a duplicate."""

    outcome: Literal["applied", "duplicate"]
    standing_before: Standing | None
    standing: Standing | None
    effects: tuple[PendingEffect, ...]


DUPLICATE = Applied("duplicate", None, None, ())


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that has to be written."""

    sessions: Mapping[SessionKey, Session]  # those that are new or changed
    attempts: tuple[tuple[SessionKey, str, FailedAttempt], ...]  # that are new, or known better
    standings: Mapping[ReferenceKey, Standing]  # those that are new or changed
    timeline: tuple[tuple[ReferenceKey, TimelineLine], ...]  # oldest first
    effects: tuple[PendingEffect, ...]
    applied: tuple[Applied, ...]  # one for each observation, in their order


def reconcile(
    known: Known,
    observations: Iterable[Observation],
    *,
    policy: Policy | None,
    now: int,
    reverify_after: int | None = None,
) -> Outcome:
    """Merge the observations one by one, and work out all that follows.

    `policy` None asks for no effects: an import is old news. `now` is in Unix seconds, and
    `reverify_after` is in seconds; None: a verification does not expire.
    """
    draft = _Draft(known, policy, Expiry(reverify_after, now))
    applied = tuple([draft.observe(observation) for observation in observations])
    return draft.outcome(applied)


def reference_of(session: Session | None) -> ReferenceKey | None:
    """The reference that a session counts for; None for an orphan, and for no session."""
    if session is None:
        return None
    snapshot = session.snapshot
    if snapshot.reference is None:
        return None
    return ReferenceKey(snapshot.account, snapshot.livemode, snapshot.reference, snapshot.purpose)


class _Draft:
    """`known`, and what the observations so far have made of it."""

    def __init__(self, known: Known, policy: Policy | None, expiry: Expiry) -> None:
        self._known = known
        self._policy = policy
        self._now = expiry.now
        self._expiry = expiry
        self._applied_events = set(known.applied_events)
        self._sessions = dict(known.sessions)
        self._standings = dict(known.standings)
        self._timeline: list[tuple[ReferenceKey, TimelineLine]] = []
        self._members: dict[ReferenceKey, dict[SessionKey, Session]] = {}
        for key, session in known.sessions.items():
            self._join(reference_of(session), key, session)

    def observe(self, observation: Observation) -> Applied:
        """Merge one observation, resolve what it touches, and ask its handler."""
        if observation.event_id:
            if observation.event_id in self._applied_events:
                return DUPLICATE
            self._applied_events.add(observation.event_id)
        about = observation.key
        before = self._sessions.get(about)
        session = merge(before, observation)
        left, own = reference_of(before), reference_of(session)
        standings_before = {key: self._standings.get(key) for key in {left, own} if key is not None}
        self._sessions[about] = session
        if left is not None and left != own:
            del self._members[left][about]
        self._join(own, about, session)
        for key in sorted(standings_before):
            self._resolve(key, observation)
        standing_before = standing = None
        members: Collection[Session] = ()
        if own is not None:
            members = self._members[own].values()
            standing_before, standing = standings_before[own], self._standings[own]
        effects: tuple[PendingEffect, ...] = ()
        if self._policy is not None:
            change = Change(
                observation, before, session, standing_before, standing, self._policy, members
            )
            departed = [
                key
                for key in standings_before
                if key != own and self._standings[key] != standings_before[key]
            ]
            effects = self._effects(change, departed)
        return Applied("applied", standing_before, standing, effects)

    def outcome(self, applied: Sequence[Applied]) -> Outcome:
        """What differs from `known`."""
        sessions = {
            key: session
            for key, session in self._sessions.items()
            if session != self._known.sessions.get(key)
        }
        return Outcome(
            sessions=sessions,
            attempts=tuple(
                (key, name, attempt)
                for key, session in sessions.items()
                if session.failed_attempts
                for name, attempt in sorted(session.failed_attempts.items())
                if attempt != self._known_attempts(key).get(name)
            ),
            standings={
                key: standing
                for key, standing in self._standings.items()
                if standing != self._known.standings.get(key)
            },
            timeline=tuple(self._timeline),
            effects=tuple(effect for one in applied for effect in one.effects),
            applied=tuple(applied),
        )

    def _known_attempts(self, key: SessionKey) -> Mapping[str, FailedAttempt]:
        session = self._known.sessions.get(key)
        return NO_ATTEMPTS if session is None else session.failed_attempts

    def _join(self, own: ReferenceKey | None, key: SessionKey, session: Session) -> None:
        if own is not None:
            self._members.setdefault(own, {})[key] = session

    def _resolve(self, key: ReferenceKey, observation: Observation) -> None:
        before = self._standings.get(key)
        resolved = resolve(self._members.get(key, {}).values(), self._expiry)
        after = with_next_version(before, with_granted(before, resolved), self._now)
        if after == before:
            return
        self._standings[key] = after
        line = timeline_line(before, after, observation, self._now)
        self._timeline.append((key, line))

    def _effects(
        self, change: Change, departed: Sequence[ReferenceKey]
    ) -> tuple[PendingEffect, ...]:
        """What the handler asks for, and a notification for each reference the session has left."""
        asked = [self._pending(effect, change) for effect in handle(change)]
        if change.policy.notify:
            asked += [self._departure(key, change.observation) for key in departed]
        return tuple(asked)

    def _pending(self, effect: Effect, change: Change) -> PendingEffect:
        observation, session, standing = change.observation, change.session, change.standing
        own = reference_of(session)
        about = session.key
        if isinstance(effect, Notify) and own is not None and standing is not None:
            id = _notification_id(observation, own, standing)
        elif isinstance(effect, Cancel) and effect.session != about:
            about = effect.session
            id = effect_id(observation.cause, effect.kind, about.id)
        else:
            id = effect_id(observation.cause, effect.kind)
        return PendingEffect(
            id=id,
            kind=effect.kind,
            account=session.snapshot.account,
            livemode=session.snapshot.livemode,
            session_id=about.id,
            reference_key=own.digest if own is not None and isinstance(effect, Notify) else None,
            version=standing.version if standing is not None else None,
            due=self._now + effect.after,
        )

    def _departure(self, key: ReferenceKey, observation: Observation) -> PendingEffect:
        """The notification for a reference that has lost a session to another one."""
        standing = self._standings[key]
        return PendingEffect(
            id=_notification_id(observation, key, standing, "left"),
            kind=Notify.kind,
            account=key.account,
            livemode=key.livemode,
            session_id=observation.snapshot.id,
            reference_key=key.digest,
            version=standing.version,
            due=self._now,
        )


def _notification_id(
    observation: Observation, key: ReferenceKey, standing: Standing, *parts: str
) -> str:
    # With the version: a ledger that was lost and takes the same event again asks anew.
    parts = (str(standing.version), *parts)
    if not observation.event_id:
        # Two answers of one second may concern two references, and an event comes once.
        parts = (key.digest[:16], *parts)
    return effect_id(observation.cause, Notify.kind, *parts)


def timeline_line(
    before: Standing | None, after: Standing, observation: Observation, now: int
) -> TimelineLine:
    """The line for one change of a standing; `now` is in Unix seconds."""
    return TimelineLine(
        version=after.version,
        previous_status=before.status if before is not None else None,
        status=after.status,
        session_id=after.session_id,
        attempts=after.attempts,
        last_error_code=after.last_error_code,
        next_step=after.next_step,
        redaction=after.redaction,
        cause=observation.name,
        cause_session_id=observation.snapshot.id,
        event_id=observation.event_id or None,
        as_of=observation.as_of,
        at=now,
    )
