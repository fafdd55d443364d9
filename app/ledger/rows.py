"""The domain's values to rows, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from app.domain.attempts import FailedAttempt
from app.domain.effects import PendingEffect
from app.domain.polling import next_poll
from app.domain.reconcile import TimelineLine, reference_of
from app.domain.registers import ReferenceClaim, Since
from app.domain.session import Session
from app.domain.snapshot import SessionKey, Snapshot
from app.domain.standing import ReferenceKey, Standing

STANDING_FIELDS = Standing._fields
EFFECT_FIELDS = PendingEffect.__slots__
TIMELINE_FIELDS = TimelineLine._fields

_encode = msgspec.json.Encoder().encode
_decode_since = msgspec.json.Decoder(dict[str, Since]).decode
_standing_fields = attrgetter(*STANDING_FIELDS)
_effect_fields = attrgetter(*EFFECT_FIELDS)
_timeline_fields = attrgetter(*TIMELINE_FIELDS)


def to_json(value: Any) -> str:
    """The JSON text of rows or lists, several times as fast as by `json`: an event needs seven."""
    return _encode(value).decode()


@dataclass(frozen=True, slots=True)
class ReferenceRecord:
    """All that the ledger knows of one reference."""

    client_reference_id: str
    account: str
    livemode: bool
    purpose: str  # "" is the default one
    standing: Standing
    sessions: tuple[Session, ...]  # newest first
    timeline: tuple[TimelineLine, ...]  # oldest first
    missing: frozenset[str] = frozenset()  # its sessions that Stripe does not know


@dataclass(frozen=True, slots=True)
class Discarded:
    """A dead letter that an operator removes for good."""

    job_id: str
    key: ReferenceKey | None  # the reference it is about; None for an orphan's
    session_id: str


class LockedSession(NamedTuple):
    """What a lock on a session tells."""

    key: SessionKey
    is_new: bool
    observations: int  # with those that are about to be merged
    claim: ReferenceClaim


def session_values(session: Session, now: int) -> dict[str, Any]:
    """The row of `sessions` for a session, but for OBSERVED, and what the clock alone writes."""
    snapshot = session.snapshot
    reference = reference_of(session)
    return {
        "id": snapshot.id,
        "account": snapshot.account,
        "livemode": snapshot.livemode,
        "created": snapshot.created,
        "type": snapshot.type,
        "verification_flow": snapshot.verification_flow,
        "options": snapshot.options,
        "status": snapshot.status,
        "last_error_code": snapshot.last_error_code,
        "report": snapshot.report,
        "as_of": session.as_of,
        "event_id": session.event_id,
        "redaction": snapshot.redaction,
        "redaction_since": session.redaction_since,
        "redactable_since": session.redactable_since,
        "reference": snapshot.reference,
        "reference_source": snapshot.reference_source,
        "reference_as_of": session.reference_as_of,
        "purpose": snapshot.purpose,
        "purpose_as_of": session.purpose_as_of,
        "since": to_json(session.since),
        "reference_key": None if reference is None else reference.digest,
        "updated_at": now,
        "poll_at": next_poll(session, now),
    }


def session_of(row: Any, failed_attempts: Mapping[str, FailedAttempt]) -> Session:
    """The session of a row of `sessions`, with the attempts given."""
    return Session(
        snapshot=Snapshot(
            id=row.id,
            account=row.account,
            livemode=row.livemode,
            created=row.created,
            type=row.type,
            verification_flow=row.verification_flow,
            options=row.options,
            status=row.status,
            last_error_code=row.last_error_code,
            report=row.report,
            redaction=row.redaction,
            reference=row.reference,
            reference_source=row.reference_source,
            purpose=row.purpose,
        ),
        as_of=row.as_of,
        event_id=row.event_id,
        redaction_since=row.redaction_since,
        reference_as_of=row.reference_as_of,
        purpose_as_of=row.purpose_as_of,
        since=_decode_since(row.since),
        failed_attempts=failed_attempts,
    )


def sessions_of(rows: Sequence[Any]) -> list[Session]:
    """The sessions of rows of `sessions`, repeated for each of their attempts."""
    found: dict[SessionKey, tuple[Any, dict[str, FailedAttempt]]] = {}
    for row in rows:
        key = SessionKey(row.id, row.account, row.livemode)
        _, attempts = found.setdefault(key, (row, {}))
        if row.attempt is not None:
            attempts[row.attempt] = FailedAttempt(
                row.attempt_at, row.attempt_code, row.attempt_entered
            )
    return [session_of(row, attempts) for row, attempts in found.values()]


def locked_session(row: Any, merged: Mapping[SessionKey, int]) -> LockedSession:
    """What `lock_sessions` returned; `merged` is how many observations there are of each."""
    key = SessionKey(row.id, row.account, row.livemode)
    return LockedSession(
        key=key,
        is_new=not row.status,
        observations=row.observations + merged[key],
        claim=ReferenceClaim(
            row.reference_source,
            row.reference_as_of,
            row.reference or "",
            row.purpose_as_of,
            row.purpose,
        ),
    )


def observed_values(locked: LockedSession) -> dict[str, Any]:
    """What every observation changes in the row of its session, which Stripe does know."""
    return {**locked.key._asdict(), "observations": locked.observations, "missing_since": None}


def attempt_values(session: SessionKey, name: str, attempt: FailedAttempt) -> dict[str, Any]:
    """The row of `attempts` for one failed attempt."""
    return {
        "session_id": session.id,
        "account": session.account,
        "livemode": session.livemode,
        "attempt": name,
        "at": attempt.at,
        "code": attempt.code,
        "entered": attempt.entered,
    }


def standing_values(key: ReferenceKey, standing: Standing, now: int) -> dict[str, Any]:
    """What a reference's standing changes in its row of `standings`."""
    return {
        **standing._asdict(),
        "key": key.digest,
        "updated_at": now,
    }


def reference_values(key: ReferenceKey, now: int) -> dict[str, Any]:
    """The row of `standings` for a reference, but for its standing."""
    return {
        "key": key.digest,
        "account": key.account,
        "livemode": key.livemode,
        "client_reference_id": key.reference,
        "purpose": key.purpose,
        "default_key": key._replace(purpose="").digest if key.purpose else None,
        "updated_at": now,
    }


def reference_key_of(row: Any) -> ReferenceKey:
    """The key of a row of `standings`."""
    return ReferenceKey(row.account, row.livemode, row.client_reference_id, row.purpose)


def standing_of_fields(values: Sequence[Any]) -> Standing:
    """The standing of STANDING_FIELDS' values: by name takes several times as long."""
    return Standing(*values)


def standing_of(row: Any) -> Standing:
    """The standing of a row of `standings`."""
    return Standing(*_standing_fields(row))


def timeline_values(key: ReferenceKey | None, line: TimelineLine) -> dict[str, Any]:
    """The row of `timeline` for a line; without a key, for an orphan's."""
    return {"reference_key": None if key is None else key.digest, **line._asdict()}


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
    return TimelineLine(*_timeline_fields(row))


def effect_values(effect: PendingEffect, now: int) -> dict[str, Any]:
    """The row of `effects` for a new effect."""
    values = dict(zip(EFFECT_FIELDS, _effect_fields(effect), strict=True))
    return {**values, "status": "pending", "created_at": now, "updated_at": now}


def effect_of(row: Any) -> PendingEffect:
    """The effect of a row of `effects`."""
    return PendingEffect(*_effect_fields(row))
