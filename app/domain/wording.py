"""A standing in words: for people who do not know Stripe's."""

from __future__ import annotations

from app.domain.standing import Standing

STATUSES = {
    "verified": "verified",
    "processing": "submitted: Stripe is checking it",
    "requires_input": "not verified: the person has to submit something",
    "canceled": "not verified: every session was canceled",
    "expired": "not verified any more: the verification has expired",
    "none": "without a session: those that there were count for others now",
}
NEXT_STEPS = {
    "none": "nothing",
    "wait": "wait: Stripe decides within minutes, and tells it by an event",
    "submit": "the person has to submit what is asked for",
    "retry": "the person has to try again",
    "use_another_document": "the person has to try again with another document",
    "offer_alternative": "offer another way of being verified: this one will not do",
    "review": "somebody of your team has to look at it",
    "refuse": "refuse: the person is too young to be verified",
}


def status_in_words(status: str) -> str:
    """What a status means. One that Stripe has added since stands for itself."""
    return STATUSES.get(status, status)


def next_step_in_words(step: str) -> str:
    """What is to be done next."""
    return NEXT_STEPS.get(step, step)


def attempts_in_words(standing: Standing, limit: int | None) -> str:
    """How many attempts are left; `limit` is MAX_ATTEMPTS, None if there is none."""
    if limit is None:
        return f"{standing.attempts} failed; MAX_ATTEMPTS is not set: nothing limits them"
    allowed = limit + standing.attempts_granted
    left = max(0, allowed - standing.attempts_counted)
    return f"{left} of {allowed} left; {standing.attempts} failed in all"
