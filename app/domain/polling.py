"""When Stripe is asked about a session of which nothing comes: ever more rarely, not for ever."""

from __future__ import annotations

from app.domain.durations import DAY, HOUR
from app.domain.effects import PROCESSING_OVERDUE
from app.domain.session import Session

# Seconds from the start of what a session waits for to the first question. A person waits for a
# check, Stripe takes hours to days for a redaction, and an open session waits for the person.
FIRST_QUESTION = {"processing": PROCESSING_OVERDUE, "requires_input": DAY}
FIRST_QUESTION_OF_REDACTION = HOUR
# Who has not come back by then has given up; Stripe's events, and a start, are heard all the same.
LAST_QUESTION = 30 * DAY


def next_poll(session: Session, now: int) -> int | None:
    """When to ask Stripe about a session, in Unix seconds, later than `now`; None: not any more.

    Each question comes after twice the time of the one before: of an open session after 1, 2, 4, 8
    and 16 days.
    """
    if session.snapshot.redaction is not None:
        if session.snapshot.redaction == "redacted" or session.redaction_since is None:
            return None
        return _next(session.redaction_since, FIRST_QUESTION_OF_REDACTION, now)
    first = FIRST_QUESTION.get(session.status)
    return None if first is None else _next(session.status_since, first, now)


def _next(since: int, first: int, now: int) -> int | None:
    over = max(0, now - since) // first
    after = first << over.bit_length()  # `first` times the next power of two
    return since + after if after <= LAST_QUESTION else None
