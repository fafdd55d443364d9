"""What each status asks for. Pure: a change goes in, effects come out."""

from __future__ import annotations

from collections.abc import Callable

from app.domain.change import Change
from app.domain.effects import (
    PROCESSING_OVERDUE,
    TIE_RECHECK_AFTER,
    Cancel,
    Effect,
    Notify,
    Purge,
    Recheck,
)
from app.domain.session import Session, is_tie

Handler = Callable[[Change], list[Effect]]


def notify(change: Change) -> list[Effect]:
    """Notify the team if the standing changed: part of every handler, and all that some do."""
    return [Notify()] if change.policy.notify and change.standing_changed else []


def created(change: Change) -> list[Effect]:
    """A session was opened."""
    return notify(change)


def processing(change: Change) -> list[Effect]:
    """Stripe is checking: ask again if no event has come by when most checks are long done."""
    effects = notify(change)
    if change.policy.recheck and change.decided:
        effects.append(Recheck(after=PROCESSING_OVERDUE))
    return effects


def requires_input(change: Change) -> list[Effect]:
    """An attempt failed: cancel every open session of the reference if none is left."""
    effects = notify(change)
    if _uses_up_attempts(change):
        effects += [Cancel(session.key) for session in change.sessions if _is_open(session)]
    return effects


def _is_open(session: Session) -> bool:
    return session.status == "requires_input" and session.snapshot.redaction is None


def _uses_up_attempts(change: Change) -> bool:
    """Whether its reference has just reached the limit, or a session has failed beyond it.

    Events come in any order: the one that reaches the limit need not be the latest.
    """
    limit, standing, before = change.policy.max_attempts, change.standing, change.standing_before
    if standing is None or not standing.exhausts(limit):
        return False
    failed = change.session.snapshot.last_error_code is not None
    return before is None or not before.exhausts(limit) or (failed and change.decided)


def verified(change: Change) -> list[Effect]:
    """The person is verified."""
    return notify(change)


def canceled(change: Change) -> list[Effect]:
    """The session is closed."""
    return notify(change)


def redacted(change: Change) -> list[Effect]:
    """Stripe has removed the person's data: remove our copies."""
    before = change.session_before
    known = before is not None and before.snapshot.redaction == "redacted"
    # An event brings a copy of its own to purge; a sweep sees the same redaction many times.
    purge = [Purge()] if change.observation.event_id or not known else []
    return [*notify(change), *purge]


# By the last part of the event's type; an API answer goes by its status.
HANDLERS: dict[str, Handler] = {
    "created": created,
    "processing": processing,
    "requires_input": requires_input,
    "verified": verified,
    "canceled": canceled,
    "redacted": redacted,
}


def handle(change: Change) -> list[Effect]:
    """What the observation's handler asks for, and the recheck that a tie needs."""
    # An API answer may show a status that Stripe has added since: notify the team all the same.
    effects = HANDLERS.get(change.observation.name, notify)(change)
    if change.policy.recheck and is_tie(change.session_before, change.observation):
        effects = [effect for effect in effects if not isinstance(effect, Recheck)]
        effects.append(Recheck(after=TIE_RECHECK_AFTER))
    return effects
