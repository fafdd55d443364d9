"""The domain's values to rows, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.domain.effects import PendingEffect
from app.domain.reconcile import TimelineLine, reference_of
from app.domain.session import ReferenceClaim, Session, Since
from app.domain.snapshot import SessionKey, Snapshot
from app.domain.standing import ReferenceKey, Standing

STANDING_FIELDS = Standing.__slots__
EFFECT_FIELDS = PendingEffect.__slots__
TIMELINE_FIELDS = TimelineLine.__slots__


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


@dataclass(frozen=True, slots=True)
class Discarded:
    """A dead letter that an operator removes for good."""

    job_id: str
    account: str
    livemode: bool
    reference: str | None
    session_id: str

    @property
    def key(self) -> ReferenceKey | None:
        """The reference it is about; None for an orphan's."""
        if self.reference is None:
            return None
        return ReferenceKey(self.account, self.livemode, self.reference)


class LockedSession(NamedTuple):
    """What a lock on a session tells: whether it is new, and which reference it belongs to."""

    key: SessionKey
    is_new: bool
    claim: ReferenceClaim


def session_values(session: Session, now: int) -> dict[str, Any]:
    """The row of `sessions` for a session, but for its count of observations."""
    snapshot = session.snapshot
    reference = reference_of(session)
    return {
        "id": snapshot.id,
        "account": snapshot.account,
        "livemode": snapshot.livemode,
        "created": snapshot.created,
        "type": snapshot.type,
        "status": snapshot.status,
        "last_error_code": snapshot.last_error_code,
        "report": snapshot.report,
        "as_of": session.as_of,
        "event_id": session.event_id,
        "redaction": snapshot.redaction,
        "redaction_since": session.redaction_since,
        "reference": snapshot.reference,
        "reference_source": snapshot.reference_source,
        "reference_as_of": session.reference_as_of,
        "since": session.since,
        "reference_key": None if reference is None else reference.digest,
        "updated_at": now,
    }


def session_of(row: Any, failed_attempts: Iterable[str]) -> Session:
    """The session of a row of `sessions`, with the attempts given."""
    return Session(
        snapshot=Snapshot(
            id=row.id,
            account=row.account,
            livemode=row.livemode,
            created=row.created,
            type=row.type,
            status=row.status,
            last_error_code=row.last_error_code,
            report=row.report,
            redaction=row.redaction,
            reference=row.reference,
            reference_source=row.reference_source,
        ),
        as_of=row.as_of,
        event_id=row.event_id,
        redaction_since=row.redaction_since,
        reference_as_of=row.reference_as_of,
        since={status: Since(*since) for status, since in row.since.items()},
        failed_attempts=frozenset(failed_attempts),
    )


def sessions_of(rows: Sequence[Any]) -> list[Session]:
    """The sessions of rows of `sessions`, repeated for each of their attempts."""
    found: dict[SessionKey, tuple[Any, set[str]]] = {}
    for row in rows:
        key = SessionKey(row.id, row.account, row.livemode)
        _, attempts = found.setdefault(key, (row, set()))
        if row.attempt is not None:
            attempts.add(row.attempt)
    return [session_of(row, attempts) for row, attempts in found.values()]


def locked_session(row: Any, merged: Mapping[SessionKey, int]) -> LockedSession:
    """What `lock_sessions` returned; `merged` is how many observations it counted for each."""
    key = SessionKey(row.id, row.account, row.livemode)
    return LockedSession(
        key=key,
        is_new=row.observations == merged[key],
        claim=ReferenceClaim(row.reference_source, row.reference_as_of, row.reference or ""),
    )


def attempt_values(session: SessionKey, attempt: str) -> dict[str, Any]:
    """The row of `attempts` for one failed attempt."""
    return {
        "session_id": session.id,
        "account": session.account,
        "livemode": session.livemode,
        "attempt": attempt,
    }


def standing_values(key: ReferenceKey, standing: Standing, now: int) -> dict[str, Any]:
    """The row of `standings` for a reference's standing."""
    values = {name: getattr(standing, name) for name in STANDING_FIELDS}
    return {
        **values,
        "key": key.digest,
        "account": key.account,
        "livemode": key.livemode,
        "client_reference_id": key.reference,
        "updated_at": now,
    }


def standing_of(row: Any) -> Standing:
    """The standing of a row of `standings`."""
    return Standing(**{name: getattr(row, name) for name in STANDING_FIELDS})


def timeline_values(key: ReferenceKey | None, line: TimelineLine) -> dict[str, Any]:
    """The row of `timeline` for a line; without a key, for an orphan's."""
    values = {name: getattr(line, name) for name in TIMELINE_FIELDS}
    return {"reference_key": None if key is None else key.digest, **values}


def discarded_line(standing: Standing, discarded: Discarded, why: str, now: int) -> TimelineLine:
    """The line for a discarded dead letter: the standing stays as it is."""
    return TimelineLine(
        version=standing.version,
        previous_status=standing.status,
        status=standing.status,
        session_id=standing.session_id,
        attempts=standing.attempts,
        last_error_code=standing.last_error_code,
        next_step=standing.next_step,
        redaction=standing.redaction,
        cause="discarded",
        cause_session_id=discarded.session_id,
        event_id=discarded.job_id,
        as_of=now,
        at=now,
        note=why,
    )


def timeline_line_of(row: Any) -> TimelineLine:
    """The line of a row of `timeline`."""
    return TimelineLine(**{name: getattr(row, name) for name in TIMELINE_FIELDS})


def effect_values(effect: PendingEffect, now: int) -> dict[str, Any]:
    """The row of `effects` for a new effect."""
    values = {name: getattr(effect, name) for name in EFFECT_FIELDS}
    return {**values, "status": "pending", "created_at": now, "updated_at": now}


def effect_of(row: Any) -> PendingEffect:
    """The effect of a row of `effects`."""
    return PendingEffect(**{name: getattr(row, name) for name in EFFECT_FIELDS})
