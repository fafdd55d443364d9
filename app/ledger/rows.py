"""The domain's values to rows, and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from app.domain.effects import Effect, EffectRow, Notify
from app.domain.reference import Standing
from app.domain.session import Observation, Session

STANDING_FIELDS = Standing.__slots__
EFFECT_FIELDS = EffectRow.__slots__
# Of a Session, all but the failed attempts, which have rows of their own.
SESSION_FIELDS = tuple(name for name in Session.__slots__ if name != "failed_attempts")


@dataclass(frozen=True, slots=True)
class TimelineLine:
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
    note: str | None = None  # why an operator discarded it


@dataclass(frozen=True, slots=True)
class ReferenceRecord:
    """All that the ledger knows of one reference."""

    client_reference_id: str
    account: str
    livemode: bool
    standing: Standing
    sessions: tuple[Session, ...]  # newest first
    timeline: tuple[TimelineLine, ...]  # oldest first
    missing: frozenset[str] = frozenset()  # its sessions that Stripe does not know


TIMELINE_FIELDS = TimelineLine.__slots__


@dataclass(frozen=True, slots=True)
class Discarded:
    """A dead letter that an operator removes for good."""

    job_id: str
    account: str
    livemode: bool
    reference: str | None
    session_id: str


def reference_key(account: str, livemode: bool, reference: str) -> str:
    """The fixed-size key of a reference: 64 hexadecimal digits."""
    # JSON quotes, so no two triples share an encoding.
    return sha256(json.dumps([account, livemode, reference]).encode()).hexdigest()


def key_of(session: Session) -> str | None:
    """The key of the session's reference. None for an orphan."""
    if session.reference is None:
        return None
    return reference_key(session.account, session.livemode, session.reference)


def session_values(session: Session, now: int) -> dict[str, Any]:
    """The columns of `sessions` that a session gives, but for its count of observations."""
    values = {name: getattr(session, name) for name in SESSION_FIELDS}
    return {**values, "reference_key": key_of(session), "updated_at": now}


def session_of(row: Any, failed_attempts: Iterable[str] = ()) -> Session:
    """The session of a row of `sessions`, with the attempts given."""
    return Session(
        **{name: getattr(row, name) for name in SESSION_FIELDS},
        failed_attempts=frozenset(failed_attempts),
    )


def sessions_of(rows: Sequence[Any]) -> list[Session]:
    """The sessions of rows of `sessions`, repeated for each of their attempts."""
    found: dict[tuple[str, str, bool], tuple[Any, set[str]]] = {}
    for row in rows:
        _, attempts = found.setdefault((row.id, row.account, row.livemode), (row, set()))
        if row.attempt is not None:
            attempts.add(row.attempt)
    return [session_of(row, attempts) for row, attempts in found.values()]


def attempt_values(session: Session, before: Session | None) -> list[dict[str, Any]]:
    """The rows of `attempts` that `session` has and `before` has not."""
    known = before.failed_attempts if before is not None else frozenset()
    return [
        {
            "session_id": session.id,
            "account": session.account,
            "livemode": session.livemode,
            "attempt": attempt,
        }
        for attempt in sorted(session.failed_attempts - known)
    ]


def standing_values(standing: Standing) -> dict[str, Any]:
    """The columns of `references` that a standing gives."""
    return {name: getattr(standing, name) for name in STANDING_FIELDS}


def standing_of(row: Any) -> Standing:
    """The standing of a row of `references`."""
    return Standing(**{name: getattr(row, name) for name in STANDING_FIELDS})


def timeline_values(
    key: str, before: Standing | None, after: Standing, observation: Observation, now: int
) -> dict[str, Any]:
    """The row of `timeline` for one change of a standing."""
    line = TimelineLine(
        version=after.version,
        previous_status=before.status if before is not None else None,
        status=after.status,
        session_id=after.session_id,
        attempts=after.attempts,
        last_error_code=after.last_error_code,
        next_step=after.next_step,
        redaction=after.redaction,
        cause=observation.name,
        cause_session_id=observation.session_id,
        event_id=observation.event_id or None,
        as_of=observation.as_of,
        at=now,
    )
    return {"reference_key": key, **{name: getattr(line, name) for name in TIMELINE_FIELDS}}


def discarded_order(discarded: Discarded) -> str:
    """By the reference's key, the order in which references are locked."""
    if discarded.reference is None:
        return ""
    return reference_key(discarded.account, discarded.livemode, discarded.reference)


def discarded_values(
    key: str | None, stood: Standing, discarded: Discarded, why: str, now: int
) -> dict[str, Any]:
    """The row of `timeline` for a discarded letter: the standing stays as it is."""
    line = TimelineLine(
        version=stood.version,
        previous_status=stood.status,
        status=stood.status,
        session_id=stood.session_id,
        attempts=stood.attempts,
        last_error_code=stood.last_error_code,
        next_step=stood.next_step,
        redaction=stood.redaction,
        cause="discarded",
        cause_session_id=discarded.session_id,
        event_id=discarded.job_id,
        as_of=now,
        at=now,
        note=why,
    )
    return {"reference_key": key, **{name: getattr(line, name) for name in TIMELINE_FIELDS}}


def timeline_line_of(row: Any) -> TimelineLine:
    """The line of a row of `timeline`."""
    return TimelineLine(**{name: getattr(row, name) for name in TIMELINE_FIELDS})


def effect_row(
    effect: Effect, observation: Observation, session: Session, standing: Standing | None, now: int
) -> EffectRow:
    """What an effect becomes, asked for by an observation at `now`."""
    id = f"{observation.cause}-{effect.kind}"
    if isinstance(effect, Notify) and standing is not None:
        id = _notification(observation, session.reference, standing)
    return EffectRow(
        id=id,
        kind=effect.kind,
        account=session.account,
        livemode=session.livemode,
        session_id=session.id,
        # Those that wait for days, or die, name nobody: only a receiver has to be told whom it is.
        reference=session.reference if isinstance(effect, Notify) else None,
        version=standing.version if standing is not None else None,
        due=now + effect.after,
    )


def left_row(observation: Observation, reference: str, standing: Standing, now: int) -> EffectRow:
    """The notification for a reference that has lost a session to another one."""
    return EffectRow(
        id=f"{_notification(observation, reference, standing)}-left",
        kind=Notify.kind,
        account=observation.account,
        livemode=observation.livemode,
        session_id=observation.session_id,
        reference=reference,
        version=standing.version,
        due=now,
    )


def _notification(observation: Observation, reference: str | None, standing: Standing) -> str:
    """The id of the notification that an observation asks for."""
    id = f"{observation.cause}-{Notify.kind}"
    if observation.event_id or reference is None:
        return id
    # Two answers of one second may both change a standing, and an event comes once.
    key = reference_key(observation.account, observation.livemode, reference)
    return f"{id}-{key[:16]}-{standing.version}"


def effect_values(effect: EffectRow, now: int) -> dict[str, Any]:
    """The row of `effects` for a new effect."""
    return {**effect.to_dict(), "status": "pending", "created_at": now, "updated_at": now}


def effect_of(row: Any) -> EffectRow:
    """The effect of a row of `effects`."""
    return EffectRow(**{name: getattr(row, name) for name in EFFECT_FIELDS})
