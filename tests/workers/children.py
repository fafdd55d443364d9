"""A supervisor in a process of its own: `python -m tests.workers.children KIND …`.

Its patience is a tenth of the real one.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from functools import partial

from app.logs import configure
from tests.workers.process import tell
from workers import supervisor
from workers.supervisor import Child, Supervisor, orphaned


def steady(parent: int, over_by: ctypes.c_double) -> None:
    """Lives until it is told otherwise, or has lost its parent."""
    tell(f"steady {os.getpid()}")
    while not orphaned(parent):
        time.sleep(0.05)


def young(parent: int, over_by: ctypes.c_double) -> None:
    """Dies at once."""
    os._exit(3)


def raises(parent: int, over_by: ctypes.c_double) -> None:
    """Has a fault that nobody has thought of."""
    raise RuntimeError("a fault")


def hangs(parent: int, over_by: ctypes.c_double) -> None:
    """Goes over its time where no signal reaches it."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    over_by.value = time.monotonic() + 0.2
    time.sleep(600)


def late(parent: int, over_by: ctypes.c_double) -> None:
    """Was over its time once, but is not now."""
    over_by.value = time.monotonic() - 600
    over_by.value = 0
    steady(parent, over_by)


def busy(parent: int, over_by: ctypes.c_double) -> None:
    """Finishes what it has begun when it is told to stop."""

    def finish(signum: int, frame: object) -> None:
        time.sleep(0.5)
        tell("finished")
        sys.exit(0)

    signal.signal(signal.SIGTERM, finish)
    steady(parent, over_by)


def stubborn(parent: int, over_by: ctypes.c_double) -> None:
    """Does not hear."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    steady(parent, over_by)


WORK = {work.__name__: work for work in (steady, young, raises, hangs, late, busy, stubborn)}


class FaultySupervisor(Supervisor):
    """Has a fault that nobody has thought of, once its children are started."""

    def run_once(self) -> None:
        """Start them, and fail the next time."""
        if all(child.process for child in self._children):
            raise RuntimeError("a fault")
        super().run_once()


def main(*kinds: str) -> None:
    """Supervise a child of each kind; with `faulty`, by a supervisor that fails."""
    faulty = "faulty" in kinds
    configure("json")
    for name in (
        "MIN_UPTIME",
        "FIRST_DELAY",
        "MAX_DELAY",
        "HANG_GRACE",
        "POLL_INTERVAL",
        "DRAIN_TIMEOUT",
    ):
        setattr(supervisor, name, getattr(supervisor, name) / 10)
    children = [
        Child(kind, partial(WORK[kind], os.getpid()), delay=supervisor.FIRST_DELAY)
        for kind in kinds
        if kind != "faulty"
    ]
    (FaultySupervisor if faulty else Supervisor)(children).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
