"""Look at everything that has to be well, and say what is not and what to do about it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from redis.exceptions import RedisError

from app.domain.errors import IdentityError
from app.operations.checks import (
    clock_skew,
    environment,
    ledger_state,
    redis_server,
    stripe_account,
    work,
)
from app.operations.checks.finding import Check, Finding
from app.operations.checks.patient import NotLooked, Patient, admit

# Seconds for all checks, which run at once. Each store's client gives up by itself within ten.
WITHIN = 12.0
RETRY = "See whether a firewall or a busy server is in the way, and try again."

# In the order they are told.
CHECKS: tuple[tuple[str, Callable[[Patient], Finding]], ...] = (
    ("settings", environment.check_settings),
    ("redis", redis_server.check_reachable),
    ("redis persistence", redis_server.check_persistence),
    ("redis eviction", redis_server.check_eviction),
    ("redis memory", redis_server.check_memory),
    ("workers", work.check_workers),
    ("clock process", work.check_clock_process),
    ("queue", work.check_queue),
    ("dead letters", work.check_dead_letters),
    ("database", ledger_state.check_database),
    ("last event", ledger_state.check_last_event),
    ("redactions", ledger_state.check_redactions),
    ("clock against Redis", clock_skew.check_redis_skew),
    ("clock against Stripe", clock_skew.check_stripe_skew),
    ("stripe key", stripe_account.check_key),
    ("restricted key", stripe_account.check_restricted_key),
    ("key mode", ledger_state.check_mode),
    ("webhook endpoint", stripe_account.check_endpoint),
)
# Without a key these are one line, not five.
OF_STRIPE = ("clock against Stripe", "stripe key", "restricted key", "key mode", "webhook endpoint")


def examine(
    variables: Mapping[str, str],
    *,
    now: Callable[[], float] = time.time,
    within: float = WITHIN,
) -> list[Finding]:
    """Every finding of this environment. Nothing is changed anywhere, and nothing is raised."""
    patient = admit(variables, now)
    try:
        checks = [(name, partial(check, patient)) for name, check in CHECKS]
        if patient.stripe is None:
            checks = [(name, check) for name, check in checks if name not in OF_STRIPE]
            checks.append(("stripe", partial(_without_key, patient)))
        return run_all(checks, within)
    finally:
        patient.close()


def run_all(checks: Sequence[tuple[str, Check]], within: float) -> list[Finding]:
    """Run all checks at once, each in a thread; those that have no result in time are told so."""
    found: dict[int, Finding] = {}

    def run(number: int, name: str, check: Check) -> None:
        found[number] = attempt(name, check)

    deadline = time.monotonic() + within
    # Daemons, which do not hold the process up where one hangs.
    threads = [
        threading.Thread(target=run, args=(number, name, check), daemon=True)
        for number, (name, check) in enumerate(checks)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [
        found.get(number) or Finding(name, "wrong", f"no answer within {within:g} s", RETRY)
        for number, (name, _) in enumerate(checks)
    ]


def attempt(name: str, check: Check) -> Finding:
    """What the check finds. What keeps it from looking is told by another check's line."""
    try:
        return check()
    except (NotLooked, IdentityError) as obstacle:
        return Finding(name, "warning", f"not checked: {obstacle}", "Mend that first.")
    except RedisError as refusal:  # its text may quote what was sent
        told = f"not checked: Redis refuses ({type(refusal).__name__})"
        return Finding(name, "warning", told, "Give the user in REDIS_URL the right to it.")
    except Exception as error:  # a fault of ours must not hide what the others find
        told = f"the check itself failed ({type(error).__name__})"
        return Finding(name, "wrong", told, "Report it: this is a fault of the doctor's.")


def _without_key(patient: Patient) -> Finding:
    """Why Stripe was not looked at."""
    patient.asks("STRIPE_API_KEY")
    return Finding(
        "stripe",
        "warning",
        "not checked: STRIPE_API_KEY is not set",
        "Set it to have keys, clock, mode and webhook endpoint checked.",
    )
