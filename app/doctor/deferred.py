"""Whether jobs fail and are tried again, for how long already, and why."""

from __future__ import annotations

from collections.abc import Mapping

from app.doctor.deployment import Deployment
from app.doctor.result import Finding, in_minutes_or_hours
from app.domain.durations import HOUR, MINUTE
from app.queue.deferred import DeferredJobs, DeferredReason, DeferredSummary
from app.queue.model import EFFECTS, EVENTS

NAME = "deferred"
# What passes by itself has passed by then: seven tries have failed.
MAX_WAIT = 5 * MINUTE
# Of an outage that lasts for so long, or holds up so many, somebody has to know.
MAX_OUTAGE, MANY = HOUR, 100
# Reasons that are told, the most frequent first.
MAX_REASONS = 3


def check_deferred(deployment: Deployment) -> Finding:
    """What waits to be tried again."""
    deployment.require("REDIS_URL")
    redis = deployment.stores.redis
    return judge({s.name: DeferredJobs(redis, s).summarise() for s in (EVENTS, EFFECTS)})


def judge(found: Mapping[str, DeferredSummary]) -> Finding:
    """Judge what waits in each queue by how many there are and for how long they have failed."""
    waiting = {queue: summary for queue, summary in found.items() if summary.count}
    if not waiting:
        return Finding(NAME, "ok", "nothing waits to be tried again")
    message = "; ".join(_told(queue, summary) for queue, summary in waiting.items())
    seconds = max(summary.seconds for summary in waiting.values())
    if seconds < MAX_WAIT:
        return Finding(NAME, "ok", message)
    many = sum(summary.count for summary in waiting.values()) >= MANY
    option = "" if EVENTS.name in waiting else f" --queue {EFFECTS.name}"
    hint = (
        "Run `dlq list --deferred`, and mend what it names. Each is tried again by itself, within "
        f"an hour; `dlq replay --deferred{option}` tries them now."
    )
    return Finding(NAME, "wrong" if many or seconds >= MAX_OUTAGE else "warning", message, hint)


def _told(queue: str, summary: DeferredSummary) -> str:
    reasons = ", ".join(map(_reason, summary.reasons[:MAX_REASONS]))
    more = len(summary.reasons) - MAX_REASONS
    others = f" and {more} other reasons" if more > 0 else ""
    count = f"{summary.count}" if summary.complete else f"more than {summary.count}"
    seconds = summary.seconds
    age = f"{int(seconds)} s" if seconds < MINUTE else in_minutes_or_hours(seconds)
    return f"{count} {queue} failed and are tried again, for {age} by now: {reasons}{others}"


def _reason(reason: DeferredReason) -> str:
    return f"{reason.count} {reason.error_class} ({reason.error})"
