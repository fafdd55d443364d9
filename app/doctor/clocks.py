"""Whether this host's clock agrees with those of Redis and Stripe."""

from __future__ import annotations

from collections.abc import Callable

from app.doctor.deployment import Deployment
from app.doctor.result import Finding
from app.domain.durations import MINUTE
from app.queue.connection import translated_errors
from app.stripe.signatures import TOLERANCE

# Signatures older than TOLERANCE are refused, and delivery takes part of that.
MAX_SKEW = MINUTE
HINT = f"Set the clock of this host by NTP: signatures that seem {TOLERANCE} s old are refused."


def check_redis_skew(deployment: Deployment) -> Finding:
    """Compare with Redis, whose clock the queue uses."""
    deployment.require("REDIS_URL")

    def ask() -> float:
        with translated_errors():
            seconds, microseconds = deployment.stores.redis.time()
        return seconds + microseconds / 1_000_000

    return _judge("clock against Redis", "Redis", deployment.now, ask)


def check_stripe_skew(deployment: Deployment) -> Finding:
    """Compare with Stripe, which dates its signatures."""
    stripe = deployment.stripe()

    def ask() -> float:
        return stripe.list_sessions({"limit": 1}).date

    return _judge("clock against Stripe", "Stripe", deployment.now, ask)


def _judge(name: str, server: str, now: Callable[[], float], ask: Callable[[], float]) -> Finding:
    before = now()
    theirs = ask()
    # The answer was dated between the two.
    skew = round(theirs - (before + now()) / 2)
    if abs(skew) > MAX_SKEW:
        message = f"{server} is {abs(skew)} s {'ahead of' if skew > 0 else 'behind'} this host"
        return Finding(name, "wrong", message, HINT)
    return Finding(name, "ok", f"{abs(skew)} s apart")
