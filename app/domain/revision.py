"""A change of a standing that no observation of Stripe's causes: an operator does, or time."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from app.domain.change import Policy
from app.domain.effects import Notify, PendingEffect, effect_id
from app.domain.reconcile import TimelineLine
from app.domain.session import Session
from app.domain.standing import (
    Expiry,
    ReferenceKey,
    Standing,
    resolve,
    with_granted,
    with_next_version,
)


@dataclass(frozen=True, slots=True)
class Revision:
    """A new standing of a reference, and what has to be written with it."""

    key: ReferenceKey
    standing: Standing
    line: TimelineLine
    effects: tuple[PendingEffect, ...]


def revise(
    key: ReferenceKey,
    before: Standing,
    resolved: Standing,
    *,
    cause: str,
    policy: Policy,
    now: int,
    note: str | None = None,
) -> Revision | None:
    """What changes with the standing, told like any change; None if nothing does.

    `cause` and `note` are the timeline's; `now` is in Unix seconds.
    """
    after = with_next_version(before, resolved, now)
    if after == before:
        return None
    line = TimelineLine(
        version=after.version,
        previous_status=before.status,
        status=after.status,
        session_id=after.session_id,
        attempts=after.attempts,
        last_error_code=after.last_error_code,
        next_step=after.next_step,
        redaction=after.redaction,
        cause=cause,
        cause_session_id=after.session_id or "",
        event_id=None,
        as_of=now,
        at=now,
        note=note,
    )
    notification = PendingEffect(
        id=effect_id(f"{key.digest[:32]}-{after.version}-{cause}", Notify.kind),
        kind=Notify.kind,
        account=key.account,
        livemode=key.livemode,
        session_id=after.session_id or "",
        reference_key=key.digest,
        version=after.version,
        due=now,
    )
    return Revision(key, after, line, (notification,) if policy.notify else ())


def allow_attempt(
    key: ReferenceKey, before: Standing, *, why: str, policy: Policy, now: int
) -> Revision | None:
    """One more attempt than MAX_ATTEMPTS, until the user is verified anew."""
    allowed = before._replace(attempts_granted=before.attempts_granted + 1)
    return revise(key, before, allowed, cause="allowed", note=why, policy=policy, now=now)


def review(
    key: ReferenceKey,
    before: Standing,
    sessions: Collection[Session],
    *,
    policy: Policy,
    expiry: Expiry,
) -> Revision | None:
    """What time alone, or another REVERIFY_AFTER_DAYS, makes of a standing."""
    resolved = with_granted(before, resolve(sessions, expiry))
    expires = resolved.status == "expired" != before.status
    cause = "expired" if expires else "reverify_after_days"
    return revise(key, before, resolved, cause=cause, policy=policy, now=expiry.now)
