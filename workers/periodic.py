"""The clock's long tasks, which ask Stripe: beside its ticks, and one at a time over all hosts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from itertools import islice

from redis.exceptions import LockError
from redis.lock import Lock

from app.domain.errors import OtherAccount, QueueRefused, QueueUnavailable, Transient
from app.ledger.counts import count_standings
from app.ledger.engine import LedgerUnavailable
from app.ledger.retention import prune
from app.logs import get_logger, iso_time
from app.operations.accounts import accounts_to_ask
from app.operations.backfill import IN_FLIGHT, Backfill, BackfillProgress, record_success
from app.operations.due_redactions import enqueue_due_redactions
from app.operations.expire_verifications import expire_verifications
from app.operations.sweep import sweep
from app.outages import Outages
from app.queue.connection import translated_errors
from app.queue.retry_policy import describe
from app.stripe.client import StripeApi
from app.stripe.errors import StripeRefused
from workers.context import Context

log = get_logger("clock")

# Seconds from the last step of one run to the first of the next, over all clocks. A clock that dies
# in a run holds up the others for as long.
BACKFILL_INTERVAL = 300.0
SWEEP_INTERVAL = 60.0
# Sessions in one run of the sweep: with some answers a second, the run is over in a minute.
SWEEP_SIZE = 200
REDACTION_INTERVAL = 60.0
EXPIRY_INTERVAL = 60.0
# Batches of 500 standings in one run, each of which is a transaction.
EXPIRY_BATCHES = 20
# Longer than any transaction may take: what was begun before the last run has ended by this one.
COUNT_INTERVAL = 120.0
PRUNE_INTERVAL = 60.0
# Transactions in one run of these two, each of some thousand rows.
COUNT_BATCHES = PRUNE_BATCHES = 20
# Sessions asked to be redacted in one run: about three questions a second to Stripe for each.
REDACTION_SIZE = 200


class PeriodicLock:
    """The right to run a task. It is not given back but expires: that is what paces the runs.

    If Redis is emptied, the next clock to ask acquires it: a backfill is then what is needed.
    """

    def __init__(self, context: Context, name: str, interval: float) -> None:
        """`interval` is in seconds."""
        # Acquired and extended by different threads of one process, but never by two at once.
        self._lock = Lock(
            context.stores.redis, f"identity:{name}", timeout=interval, thread_local=False
        )

    def acquire(self) -> bool:
        """False if a clock has it, or had it a short while ago."""
        with translated_errors():
            return bool(self._lock.acquire(blocking=False))

    def extend(self) -> bool:
        """The lock lasts longer. False if it was lost: another clock may be at work."""
        with translated_errors():
            try:
                return self._lock.reacquire()
            except LockError:
                return False


class PeriodicTask:
    """One kind of long work, in a thread of its own while it is under way."""

    def __init__(
        self,
        name: str,
        lock: PeriodicLock,
        work: Callable[[PeriodicLock], None],
        outages: Outages | None = None,
    ) -> None:
        """`work` goes on for as long as it can extend the lock. `outages` tells the log."""
        self._outages = outages or Outages()
        self._name = name
        self._lock = lock
        self._work = work
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Begin, unless it is under way here or anywhere, or was a short while ago."""
        if (self._thread is not None and self._thread.is_alive()) or not self._lock.acquire():
            return
        # A daemon, as the process may end in the middle of it: every step can be done twice.
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def join(self, seconds: float) -> bool:
        """Wait for what is under way; whether it has ended."""
        if self._thread is not None:
            self._thread.join(seconds)
        return self._thread is None or not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._work(self._lock)
        except (QueueUnavailable, QueueRefused, LedgerUnavailable) as failure:
            self._outages.failed(self._name, failure)
        except OtherAccount as error:  # it passes, but only if somebody acts
            log.error("periodic task refused", step=self._name, error=str(error))
        except Transient as error:
            log.warning("step put off", step=self._name, error=str(error))
        except Exception as error:  # else Python would print it, with whatever its text quotes
            name, message = describe(error)
            log.error("periodic task failed", step=self._name, error_class=name, error=message)
        else:
            self._outages.succeeded(self._name)


def periodic_tasks(context: Context, outages: Outages | None = None) -> list[PeriodicTask]:
    """What a clock does beside its ticks; without an API key, only what needs no Stripe."""
    task = partial(PeriodicTask, outages=outages or Outages())
    expiry = task(
        "expiry",
        PeriodicLock(context, "expiry", EXPIRY_INTERVAL),
        lambda lock: expire(context, lock),
    )
    tasks = [
        expiry,
        task(
            "count",
            PeriodicLock(context, "count", COUNT_INTERVAL),
            lambda lock: count(context, lock),
        ),
        task(
            "prune",
            PeriodicLock(context, "prune", PRUNE_INTERVAL),
            lambda lock: prune_ledger(context, lock),
        ),
    ]
    stripe = context.stores.stripe
    if stripe is None:
        return tasks
    tasks += [
        task(
            "backfill",
            PeriodicLock(context, "backfill", BACKFILL_INTERVAL),
            lambda lock: backfill(context, stripe, lock),
        ),
        task(
            "sweep",
            PeriodicLock(context, "sweep", SWEEP_INTERVAL),
            lambda lock: sweep_due(context, lock),
        ),
    ]
    if context.stores.settings.redact_after_days is not None:
        lock = PeriodicLock(context, "redactions", REDACTION_INTERVAL)
        tasks.append(task("redactions", lock, lambda lock: redact_due(context)))
    return tasks


def backfill(context: Context, stripe: StripeApi, lock: PeriodicLock) -> None:
    """Enqueue what no delivery has brought, account by account.

    The rest of a long absence comes in later runs. An account that Stripe refuses, as one whose
    access was revoked, holds up no other.
    """
    for account in accounts_to_ask(context.stores):
        try:
            if not _backfill_account(context, stripe, lock, account):
                return
        except StripeRefused as error:
            if not account or error.status == 401:
                raise
            log.warning("account cannot be asked about", account=account, error=str(error))
    record_success(context.stores, int(context.now()))


def _backfill_account(
    context: Context, stripe: StripeApi, lock: PeriodicLock, account: str
) -> bool:
    """False if the run is to end here."""
    run = Backfill(
        stripe,
        context.stores,
        now=context.now,
        report=lambda what: log.warning("event not of the form Stripe documents", error=what),
        in_flight=IN_FLIGHT,
        account=account,
    )
    found, goes_on = None, True
    for so_far in run.steps():
        found = so_far
        goes_on = lock.extend() and not run.crowded()
        if not goes_on:
            break
    if found is not None and (found.missing or found.unreadable):
        _log_found(found, account)
    return goes_on


def _log_found(found: BackfillProgress, account: str) -> None:
    counts = {
        "missing_count": found.missing,
        "missed_count": found.missed,
        "unreadable_count": found.unreadable,
    }
    span = {"since": iso_time(found.since), "reached": iso_time(found.reached)}
    if found.missed or found.unreadable:
        log.warning("events had not come by webhook", account=account, **counts, **span)
    else:  # the events from before the ledger was first filled are nobody's fault
        log.info("older events were brought in", account=account, **counts, **span)


def sweep_due(context: Context, lock: PeriodicLock) -> None:
    """Ask about the sessions that are due."""
    for _ in sweep(context.stores, limit=SWEEP_SIZE, now=context.now):
        if not lock.extend():
            return


def expire(context: Context, lock: PeriodicLock) -> None:
    """Have verifications expire; what is left of many is done in the next runs."""
    changed = 0
    for found in islice(expire_verifications(context.stores, context.now()), EXPIRY_BATCHES):
        changed += found
        if not lock.extend():
            break
    if changed:
        log.info("standings changed by time", standing_count=changed)


def count(context: Context, lock: PeriodicLock) -> None:
    """Count on how many references stand how, for the metrics."""
    for _ in range(COUNT_BATCHES):
        if not count_standings(context.stores.engine, int(context.now())) or not lock.extend():
            return


def prune_ledger(context: Context, lock: PeriodicLock) -> None:
    """Let go of what is over; what is left of much is done in the next runs."""
    for _ in range(PRUNE_BATCHES):
        if not prune(context.stores.engine, int(context.now())) or not lock.extend():
            return


def redact_due(context: Context) -> None:
    """Have the sessions redacted for which REDACT_AFTER_DAYS is over."""
    asked = enqueue_due_redactions(context.stores, limit=REDACTION_SIZE, now=context.now())
    if asked:
        log.info("redactions due", session_count=asked)
