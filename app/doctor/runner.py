"""Run every check of a deployment at once, within a time limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

from redis.exceptions import RedisError

from app.doctor import (
    clocks,
    database,
    deferred,
    notifications,
    queues,
    redis,
    settings,
    single_sign_on,
    stripe,
)
from app.doctor.deployment import Deployment, Skipped
from app.doctor.result import Finding, hint_of
from app.domain.errors import IdentityError, QueueRefused, StoreFailure

Check: TypeAlias = Callable[[], Finding]

# Seconds for all checks, which run at once. Each store's client times out within ten.
TIMEOUT = 12.0
RETRY = "Check for a firewall or a busy server, and try again."

# In the order of the output.
CHECKS: tuple[tuple[str, Callable[[Deployment], Finding]], ...] = (
    ("settings", settings.check_settings),
    ("redis", redis.check_reachable),
    ("redis writes", redis.check_writes),
    ("redis persistence", redis.check_persistence),
    ("durability", redis.check_durability),
    ("redis eviction", redis.check_eviction),
    ("redis memory", redis.check_memory),
    ("workers", queues.check_workers),
    ("clock process", queues.check_clock_process),
    ("queue", queues.check_queue),
    ("deferred", deferred.check_deferred),
    ("dead letters", queues.check_dead_letters),
    ("other RQ applications", queues.check_other_applications),
    ("database", database.check_database),
    ("database writes", database.check_writes),
    ("callback", notifications.check_callback),
    ("single sign-on", single_sign_on.check_provider),
    ("last event", database.check_last_event),
    ("redactions", database.check_redactions),
    ("clock against Redis", clocks.check_redis_skew),
    ("clock against Stripe", clocks.check_stripe_skew),
    ("stripe key", stripe.check_key),
    ("restricted key", stripe.check_restricted_key),
    ("stripe account", stripe.check_account),
    ("key mode", database.check_mode),
    ("webhook endpoint", stripe.check_endpoint),
)
# Without a key, these six are replaced by one line.
STRIPE_CHECKS = (
    "clock against Stripe",
    "stripe key",
    "restricted key",
    "stripe account",
    "key mode",
    "webhook endpoint",
)


def examine(
    variables: Mapping[str, str],
    *,
    now: Callable[[], float] = time.time,
    timeout: float = TIMEOUT,
) -> list[Finding]:
    """The findings for this environment. What it writes it takes back; it raises nothing.

    `now` gives Unix seconds; `timeout` is in seconds.
    """
    deployment = Deployment.open(variables, now)
    try:
        checks = [(name, partial(check, deployment)) for name, check in CHECKS]
        if deployment.stores.stripe is None:
            checks = [(name, check) for name, check in checks if name not in STRIPE_CHECKS]
            checks.append(("stripe", partial(_without_key, deployment)))
        return run_all(checks, timeout)
    finally:
        deployment.close()


def run_all(checks: Sequence[tuple[str, Check]], timeout: float) -> list[Finding]:
    """Run all checks at once, each in a thread; one without a result in time is `wrong`."""
    found: dict[int, Finding] = {}

    def run(number: int, name: str, check: Check) -> None:
        found[number] = attempt(name, check)

    deadline = time.monotonic() + timeout
    # Daemon threads: the interpreter joins those of a ThreadPoolExecutor before it exits, so one
    # check that hangs would keep the process from ending.
    threads = [
        threading.Thread(target=run, args=(number, name, check), daemon=True)
        for number, (name, check) in enumerate(checks)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [
        found.get(number) or Finding(name, "wrong", f"no answer within {timeout:g} s", RETRY)
        for number, (name, _) in enumerate(checks)
    ]


def attempt(name: str, check: Check) -> Finding:
    """What the check finds. If it cannot run, another check's line says why."""
    try:
        return check()
    except StoreFailure as failure:
        # A right may be missing for this check alone; all else has a line of its own.
        hint = hint_of(failure) if isinstance(failure, QueueRefused) else "Fix that first."
        return Finding(name, "warning", f"not checked: {failure.message}", hint)
    except (Skipped, IdentityError) as obstacle:
        return Finding(name, "warning", f"not checked: {obstacle}", "Fix that first.")
    except RedisError as refusal:  # its text may quote what was sent
        message = f"not checked: Redis refuses ({type(refusal).__name__})"
        return Finding(name, "warning", message, "Give the user in REDIS_URL the right to it.")
    except Exception as error:  # a bug in one check must not hide what the others find
        message = f"the check itself failed ({type(error).__name__})"
        return Finding(name, "wrong", message, "Report it: this is a bug in the doctor.")


def _without_key(deployment: Deployment) -> Finding:
    """Why Stripe is not checked."""
    deployment.require("STRIPE_API_KEY")
    return Finding(
        "stripe",
        "warning",
        "not checked: STRIPE_API_KEY is not set",
        "Set it to have keys, clock, mode and webhook endpoint checked.",
    )
