"""What each status asks for. Pure: a change goes in, effects come out."""

from __future__ import annotations

from collections.abc import Callable

from app.domain.effects import (
    DAY,
    PROCESSING_CHECK_BACK,
    TIE_CHECK_BACK,
    Cancel,
    Change,
    CheckBack,
    Effect,
    Purge,
    Redact,
    tell,
)
from app.domain.session import is_tie, seen

Handler = Callable[[Change], list[Effect]]


def created(change: Change) -> list[Effect]:
    """A session was opened: tell the team where that changes how the person stands."""
    return tell(change)


def processing(change: Change) -> list[Effect]:
    """Stripe is checking: ask again if no word has come by when most checks are long done."""
    effects = tell(change)
    if change.policy.check_back and _current(change):
        effects.append(CheckBack(after=PROCESSING_CHECK_BACK))
    return effects


def requires_input(change: Change) -> list[Effect]:
    """An attempt failed: tell the team, and close the session where the attempts are used up."""
    effects = tell(change)
    if _uses_up_attempts(change):
        effects.append(Cancel())
    return effects


def _uses_up_attempts(change: Change) -> bool:
    """Whether the session stands failed and its reference has just come to the limit, or beyond.

    Events come in any order: the one that reaches the limit need not be the latest.
    """
    limit, standing, session = change.policy.max_attempts, change.standing, change.session
    failed = session.status == "requires_input" and session.last_error_code is not None
    if limit is None or standing is None or not failed or standing.attempts < limit:
        return False
    before = change.standing_before.attempts if change.standing_before is not None else 0
    return before < limit or _current(change)


def verified(change: Change) -> list[Effect]:
    """The person is verified: tell the team, and redact when the team's days have passed."""
    effects = tell(change)
    days = change.policy.redact_after_days
    if days is not None and _current(change) and change.session.redaction is None:
        effects.append(Redact(after=days * DAY))
    return effects


def canceled(change: Change) -> list[Effect]:
    """The session is closed: tell the team."""
    return tell(change)


def redacted(change: Change) -> list[Effect]:
    """Stripe has removed the person's data: tell the team, and remove our copies."""
    before = change.session_before
    known = before is not None and before.redaction == "redacted"
    # An event brings a copy of its own to purge; a sweep sees the same redaction many times.
    purge = [Purge()] if change.observation.event_id or not known else []
    return [*tell(change), *purge]


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
    """What the observation's handler asks for, and the check-back that a tie needs."""
    # An API answer may show a status that Stripe has added since: the team is told all the same.
    effects = HANDLERS.get(change.observation.name, tell)(change)
    if change.policy.check_back and is_tie(change.session_before, change.observation):
        effects = [e for e in effects if not isinstance(e, CheckBack)]
        effects.append(CheckBack(after=TIE_CHECK_BACK))
    return effects


def _current(change: Change) -> bool:
    """Whether the session came to stand as it does by this observation, not before or later.

    An API answer only counts where it shows something new: a sweep sees the same many times.
    """
    told = seen(change.observation)
    if change.session.register != told.register:
        return False
    before = change.session_before
    return bool(told.event_id) or before is None or before.register[3:] != told.register[3:]
