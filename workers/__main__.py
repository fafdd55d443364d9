"""`python -m workers`: event workers, an effects worker and the clock, under one supervisor."""

from __future__ import annotations

import ctypes
import gc
import os
import random
import signal
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.sharedctypes import RawArray
from typing import TYPE_CHECKING

from app.configuration.features import switched_off
from app.configuration.settings import LEDGER_NEEDS, Settings
from app.domain.errors import QueueRefused, QueueUnavailable
from app.ledger.engine import LedgerBroken, LedgerTooNew, LedgerUnavailable
from app.ledger.ledger import Ledger
from app.ledger.schema import refuse_too_new
from app.logs import get_logger
from app.notifications import subscriber
from app.operations.rescue import rescue
from app.outages import SHARED, Outages, Times
from app.queue.transitions import JobQueue
from app.starting import STOP_SIGNALS, ExitRequest, refuse, start
from app.stores import Stores
from app.telemetry.process import observed
from app.version import version
from workers.clock import TICK, Clock
from workers.context import Context
from workers.jobs import call
from workers.readiness import await_ledger
from workers.redaction import bare
from workers.supervisor import DRAIN_TIMEOUT, Child, Supervisor, orphaned
from workers.traced import TracedWorker
from workers.worker import WORK, Worker

if TYPE_CHECKING:
    from app.telemetry.spans import Spans

log = get_logger("workers")

# Seconds between two tries to reach Redis before a worker can register.
REDIS_RETRY = 1.0
# New objects after which Python looks for garbage that refers to itself. A batch makes tens of
# thousands, which live until its end: by Python's own 700 each is looked at again and again.
GARBAGE_THRESHOLD = 20_000

PROGRAM = "python -m workers"
HELP = f"""
usage: {PROGRAM} [--help] [--version]

Starts, under a supervisor that restarts whichever dies or hangs:
  EVENT_WORKERS (2) event workers     apply Stripe's events to the ledger
  EFFECT_WORKERS (1) effects workers  do what follows: tell your system, ask Stripe, redact
  one clock                           puts back what is due and what dead workers held; backfill,
                                      sweep, expiry and redactions in time; operations (replays
                                      and discards in bulk)

They wait, and claim nothing, while the ledger is away or not migrated to this release, while Redis
is away, and while they are paused (`identity queue pause`); and when a later release migrates the
ledger to a schema that this one is too old for.

Settings, in the environment (docs/reference/settings.md has all):
  DATABASE_URL     needed: the ledger
  REDIS_URL        the queue; default redis://127.0.0.1:6379/0
  STRIPE_API_KEY   unset: Stripe is not asked: no backfill, sweep or redaction
  NOTIFY_URL with NOTIFY_SECRET, SUBSCRIBER, NOTIFY_STREAM
                   who is told of changes; unset: nobody
  LEASE_SECONDS    how long the jobs of a worker that was killed wait at most; default 60
  LOG_FORMAT       json (default) or text

Signals:
  SIGTERM, SIGINT  claim nothing more, finish what is in work within {DRAIN_TIMEOUT:g} s, end

Exit codes:
  0   ended by a signal
  2   a setting is missing or wrong, an argument is unknown, or this release is too old for the
      ledger's schema; each is a line on standard error
"""


def work(
    settings: Settings,
    parent: int,
    holder: str,
    queue_of: Callable[[Stores], JobQueue],
    outage_times: Times,
    over_by: ctypes.c_double,
) -> None:
    """One worker of one queue, until it is told to stop.

    `holder` begins its lease tokens, and those of the process that had its place before it. The
    supervisor has seen that one end, so what it still held is taken up at once. `outage_times` are
    what all children know of outages, so that one tells for all.
    """
    with observed(settings, "worker") as spans:
        context = Context.of(settings, spans)
        queue, outages = queue_of(context.stores), Outages(shared=outage_times)
        run_worker(context, queue, parent, holder, over_by, outages, spans)


def run_worker(
    context: Context,
    queue: JobQueue,
    parent: int,
    holder: str,
    over_by: ctypes.c_double,
    outages: Outages,
    spans: Spans | None,
) -> None:
    """The same, on stores that are open; `spans` record what it does, None where traces are off."""

    def progress(limit: float) -> None:
        over_by.value = time.monotonic() + limit if limit else 0.0

    new_worker = Worker if spans is None else partial(TracedWorker, spans=spans)
    while not orphaned(parent):
        try:
            take_over(queue, context.stores.ledger, holder)
            worker = new_worker(
                queue,
                partial(call, context=context),
                lease=context.stores.settings.lease_seconds,
                token=lambda: holder + uuid.uuid4().hex,
                chance=random.SystemRandom().random,
                progress=progress,
                abandoned=partial(orphaned, parent),
                bare=partial(bare, context=context),
                check_ledger=context.stores.ledger.check_writable,
                check_schema=partial(refuse_too_new, context.stores.engine),
                outages=outages,
            )
            worker.work()
            return
        except (QueueUnavailable, QueueRefused) as failure:
            outages.failed(WORK, failure)
            time.sleep(REDIS_RETRY)


def take_over(queue: JobQueue, ledger: Ledger, holder: str) -> None:
    """Take up what the worker before had claimed. Raises QueueUnavailable.

    What has to be looked up in the ledger while that is away is left to the clock.
    """
    try:
        rescue(queue, ledger, holder)
    except (LedgerUnavailable, LedgerBroken) as error:
        log.warning("what killed its workers is left to the clock", error=str(error))


def tick(
    settings: Settings,
    parent: int,
    outage_times: Times,
    over_by: ctypes.c_double,
) -> None:
    """The clock, until SIGTERM ends it: each of its steps is atomic. The rest as in `work`."""
    exit_request = ExitRequest(signal.SIGTERM)
    with observed(settings, "clock") as spans:
        outages, holder = Outages(shared=outage_times), uuid.uuid4().hex
        clock = Clock(Context.of(settings, spans), outages=outages, holder=holder)
        try:
            while not orphaned(parent):
                clock.run_once()
                exit_request.check()
                time.sleep(TICK)
        finally:
            clock.close()


def load_subscriber(settings: Settings) -> None:
    """Import SUBSCRIBER before the fork, so that each child has it. Raises Misconfigured."""
    if settings.subscriber is not None:
        subscriber.load(settings.subscriber)


def main(arguments: Sequence[str] = ()) -> None:
    """Exit code 0 after SIGTERM, 2 if a setting is wrong or this release too old for the ledger."""
    settings = start(
        PROGRAM, HELP, needed=LEDGER_NEEDS, prepare=load_subscriber, arguments=arguments
    )
    log.info(
        "workers starting",
        version=version(),
        event_worker_count=settings.event_workers,
        effect_worker_count=settings.effect_workers,
        lease_seconds=settings.lease_seconds,
        off=switched_off(settings),
    )
    exit_request = ExitRequest(*STOP_SIGNALS)  # until the supervisor takes them over
    try:
        await_ledger(str(settings.database_url), check_stop=exit_request.check)
    except LedgerTooNew as failure:
        refuse(failure)
    parent = os.getpid()
    house = uuid.uuid4().hex  # of this supervisor alone: its children's leases begin with it
    times = RawArray(ctypes.c_double, SHARED)
    events = [
        Child(
            f"events-{number}",
            partial(
                work, settings, parent, f"{house}-e{number}-", lambda stores: stores.events, times
            ),
        )
        for number in range(1, settings.event_workers + 1)
    ]
    effects = [
        Child(
            f"effects-{number}",
            partial(
                work, settings, parent, f"{house}-f{number}-", lambda stores: stores.effects, times
            ),
        )
        for number in range(1, settings.effect_workers + 1)
    ]
    clock = Child("clock", partial(tick, settings, parent, times))
    # What is there by now stays: the children share it, and no collection need look at it.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)
    # A signal during the collection is handled in the first callback of what it frees, and dropped.
    exit_request.check()
    Supervisor([*events, *effects, clock]).run()


if __name__ == "__main__":
    main(sys.argv[1:])
