"""What each status asks for. Pure: a change goes in, effects come out."""

from __future__ import annotations

from collections.abc import Callable

from app.domain.change import Change
from app.domain.durations import DAY
from app.domain.effects import (
    PROCESSING_OVERDUE,
    TIE_RECHECK_AFTER,
    Cancel,
    Effect,
    Notify,
    Purge,
    Recheck,
    Redact,
)
from app.domain.session import is_tie

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
    """An attempt failed: cancel the session if the attempts are used up."""
    effects = notify(change)
    if _uses_up_attempts(change):
        effects.append(Cancel())
    return effects


def _uses_up_attempts(change: Change) -> bool:
    """Whether the session has failed and its reference has just reached the limit, or passed it.

    Events come in any order: the one that reaches the limit need not be the latest.
    """
    limit, standing, session = change.policy.max_attempts, change.standing, change.session.snapshot
    failed = session.status == "requires_input" and session.last_error_code is not None
    if limit is None or standing is None or not failed or standing.attempts < limit:
        return False
    before = change.standing_before.attempts if change.standing_before is not None else 0
    return before < limit or change.decided


def verified(change: Change) -> list[Effect]:
    """The person is verified: redact the session when the team's days have passed."""
    effects = notify(change)
    days = change.policy.redact_after_days
    if days is not None and change.decided and change.session.snapshot.redaction is None:
        effects.append(Redact(after=days * DAY))
    return effects


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
