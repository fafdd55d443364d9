"""How a change of a standing came to the ledger, as a person reads it in a timeline."""

from __future__ import annotations

from app.domain.durations import format_duration
from app.domain.reconcile import TimelineLine

# What no observation of Stripe's has caused, by the line's cause.
OTHERS = {
    "claimed": "by an operator, who claimed an orphan",
    "allowed": "by an operator, who granted an attempt",
    "discarded": "by an operator, who discarded a dead letter",
    "expired": "by time alone",
    "reverify_after_days": "by a change of REVERIFY_AFTER_DAYS",
}
# Seconds within which an event counts as told at once: Stripe's times are whole seconds.
AT_ONCE = 2
UNITS = {"s": "s", "m": "min", "h": "h", "d": "d"}


def way_of(line: TimelineLine, *, backfilled: bool = False) -> str:
    """The way that it came, and how late: `by backfill, 3 h after Stripe had it`.

    `backfilled` says that backfill brought its event. Any other event that is late was sent again
    by Stripe, or had to wait here. What an answer of Stripe's API shows may have been so for long.
    """
    if line.cause in OTHERS:
        return OTHERS[line.cause]
    if line.event_id is None:
        return "by asking Stripe"
    by = "by backfill" if backfilled else "by an event"
    late = line.at - line.as_of
    return f"{by}, at once" if late <= AT_ONCE else f"{by}, {in_words(late)} after Stripe had it"


def in_words(seconds: float) -> str:
    """`45 s`, `12 min`, `3 h` or `9 d`: the largest whole unit, rounded down."""
    text = format_duration(seconds)
    return f"{text[:-1]} {UNITS[text[-1]]}"
