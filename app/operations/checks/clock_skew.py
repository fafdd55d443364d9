"""Whether this host's clock goes as the others do."""

from __future__ import annotations

from collections.abc import Callable

from app.operations.checks.finding import Finding
from app.operations.checks.patient import Patient
from app.queue.connection import translated_errors

# Seconds. Signatures are refused from 300 on, and delivery takes some of them.
MOST_SKEW = 60
DO = "Set the clock of this host by NTP: signatures that seem 300 s old are refused."


def check_redis_skew(patient: Patient) -> Finding:
    """Against Redis, whose time the queue goes by."""
    patient.asks("REDIS_URL")

    def ask() -> float:
        with translated_errors():
            seconds, microseconds = patient.redis.time()
        return seconds + microseconds / 1_000_000

    return _judge("clock against Redis", "Redis", patient.now, ask)


def check_stripe_skew(patient: Patient) -> Finding:
    """Against Stripe, which dates its signatures."""
    stripe = patient.stripe_api()

    def ask() -> float:
        return stripe.list_sessions({"limit": 1}).date

    return _judge("clock against Stripe", "Stripe", patient.now, ask)


def _judge(name: str, whose: str, now: Callable[[], float], ask: Callable[[], float]) -> Finding:
    before = now()
    theirs = ask()
    # The answer was dated somewhere in between.
    skew = round(theirs - (before + now()) / 2)
    if abs(skew) > MOST_SKEW:
        told = f"{whose} is {abs(skew)} s {'ahead of' if skew > 0 else 'behind'} this host"
        return Finding(name, "wrong", told, DO)
    return Finding(name, "ok", f"{abs(skew)} s apart")
