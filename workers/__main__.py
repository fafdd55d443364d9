"""`python -m workers`: event workers, an effects worker and the clock, under one supervisor."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import sys
import time
import uuid
from collections.abc import Callable
from functools import partial

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from app.domain.errors import Misconfigured, QueueUnavailable
from app.logs import configure, get_logger
from app.notifications import subscriber
from app.queue.transitions import JobQueue
from app.settings import Settings
from app.stores import Stores
from workers.clock import TICK, Clock
from workers.context import Context
from workers.jobs import call
from workers.supervisor import Child, Supervisor, orphaned
from workers.worker import Worker

log = get_logger("workers")

# Seconds between two tries to reach Redis before a worker can register.
REDIS_RETRY = 1.0


def work(
    settings: Settings,
    parent: int,
    holder: str,
    queue_of: Callable[[Stores], JobQueue],
    over_by: ctypes.c_double,
) -> None:
    """One worker of one queue, until it is told to stop.

    `holder` begins its lease tokens, and those of the process that had its place before it. The
    supervisor has seen that one end, so what it still held is taken up at once.
    """
    context = Context.of(settings)
    queue = queue_of(context.stores)

    def progress(limit: float) -> None:
        over_by.value = time.monotonic() + limit if limit else 0.0

    while not orphaned(parent):
        try:
            queue.rescue(dead_holder=holder)
            worker = Worker(
                queue,
                partial(call, context=context),
                lease=settings.lease_seconds,
                token=lambda: holder + uuid.uuid4().hex,
                chance=random.SystemRandom().random,
                progress=progress,
                abandoned=partial(orphaned, parent),
            )
            worker.work()
            return
        except (RedisConnectionError, RedisTimeoutError, QueueUnavailable) as error:
            log.warning("waiting for Redis", error=type(error).__name__)
            time.sleep(REDIS_RETRY)


def tick(settings: Settings, parent: int, over_by: ctypes.c_double) -> None:
    """The clock, until SIGTERM ends it: each of its steps is atomic."""
    signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(0))
    clock = Clock(Context.of(settings))
    while not orphaned(parent):
        clock.run_once()
        time.sleep(TICK)


def main() -> None:
    """Exit code 0 after SIGTERM, 2 if a setting is wrong."""
    try:
        settings = Settings.from_environment(os.environ)
        if settings.subscriber is not None:
            subscriber.load(settings.subscriber)  # before the fork, so each child has it
    except Misconfigured as error:
        print(*error.problems, sep="\n", file=sys.stderr)  # noqa: T201  # before logs are set up
        sys.exit(2)
    configure(settings.log_format)
    parent = os.getpid()
    house = uuid.uuid4().hex  # of this supervisor alone: its children's leases begin with it
    events = [
        Child(
            f"events-{number}",
            partial(work, settings, parent, f"{house}-e{number}-", lambda stores: stores.events),
        )
        for number in range(1, settings.event_workers + 1)
    ]
    effects = [
        Child(
            f"effects-{number}",
            partial(work, settings, parent, f"{house}-f{number}-", lambda stores: stores.effects),
        )
        for number in range(1, settings.effect_workers + 1)
    ]
    clock = Child("clock", partial(tick, settings, parent))
    Supervisor([*events, *effects, clock]).run()


if __name__ == "__main__":
    main()
