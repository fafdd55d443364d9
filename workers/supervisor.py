"""Starts the children, restarts one that dies or hangs, and lets them finish on SIGTERM."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from multiprocessing.sharedctypes import RawValue

from app.logs import get_logger
from app.starting import STOP_SIGNALS, ignore_stop_signals

log = get_logger("supervisor")

# Heroku kills 30 s after SIGTERM: children get 22, so that we end within 25.
DRAIN_TIMEOUT = 22.0
# Seconds past its time limit after which a job counts as hanging: no signal reaches it.
HANG_GRACE = 5.0
# Seconds. A child that dies sooner is started again after a second, doubling to half a minute.
MIN_UPTIME, FIRST_DELAY, MAX_DELAY = 10.0, 1.0, 30.0
POLL_INTERVAL = 0.5

# A child's work. It keeps its argument at its current job's deadline (monotonic seconds; 0: none).
Work = Callable[[ctypes.c_double], None]


@dataclass
class Child:
    """One kind of work and the process that does it now."""

    name: str
    work: Work
    process: multiprocessing.process.BaseProcess | None = None
    over_by: ctypes.c_double = field(default_factory=lambda: RawValue(ctypes.c_double, 0.0))
    started: float = 0.0
    delay: float = FIRST_DELAY
    start_at: float = 0.0


class Supervisor:
    """Keeps one process for each child until it is asked to stop."""

    def __init__(self, children: list[Child]) -> None:
        """Children are forked, so what they need must be imported and nothing connected."""
        self._children = children
        self._stopping = False
        self._fork = multiprocessing.get_context("fork")

    def run(self) -> None:
        """Run until SIGTERM or SIGINT; returns when every child has ended."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        try:
            while not self._stopping:
                self.run_once()
                sentinels = [child.process.sentinel for child in self._children if child.process]
                wait(sentinels, POLL_INTERVAL)
        finally:  # else our exit would wait for children that nobody stops
            self._drain()
            ignore_stop_signals()

    def run_once(self) -> None:
        """Start children whose delay is over, and kill those that hang."""
        now = time.monotonic()
        for child in self._children:
            if child.process is not None and not child.process.is_alive():
                self._record_death(child, now)
            if child.process is None and now >= child.start_at:
                self._start(child, now)
            over_by = child.over_by.value
            if child.process is not None and over_by and now > over_by + HANG_GRACE:
                log.error("child hangs; killed", child=child.name, pid=child.process.pid)
                child.process.kill()

    def _start(self, child: Child, now: float) -> None:
        child.over_by.value = 0.0
        child.process = self._fork.Process(target=_run_child, args=(child,), name=child.name)
        # Blocked until the child has replaced our handlers by its own: ours would swallow a stop
        # signal that comes in between.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            child.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        child.started = now
        log.info("child started", child=child.name, pid=child.process.pid)

    def _record_death(self, child: Child, now: float) -> None:
        process = child.process
        if process is None:
            return
        if now - child.started > MIN_UPTIME:
            child.delay, child.start_at = FIRST_DELAY, now
        else:
            child.start_at = now + child.delay
            child.delay = min(child.delay * 2, MAX_DELAY)
        log.warning(
            "child died",
            child=child.name,
            pid=process.pid,
            exit_code=process.exitcode,
            restart_in_seconds=round(child.start_at - now, 1),
        )
        process.close()
        child.process = None

    def _drain(self) -> None:
        processes = [child.process for child in self._children if child.process]
        log.info("stopping", child_count=len(processes))
        for process in processes:
            if process.is_alive():
                process.terminate()
        deadline = time.monotonic() + DRAIN_TIMEOUT
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))
            if process.is_alive():
                # Another worker takes its jobs when their lease ends.
                log.warning("child did not finish; killed", child=process.name, pid=process.pid)
                process.kill()
                process.join()
        log.info("stopped")

    def _stop(self, signum: int, frame: object) -> None:
        self._stopping = True


def _run_child(child: Child) -> None:
    """In the child: its work, and an end without the parent's exit handlers."""
    # Until the work sets its own, a stop signal just ends us: nothing is held yet.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C: our parent stops us
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    child.work(child.over_by)


def orphaned(parent: int) -> bool:
    """Whether the process `parent` that started us is gone: after SIGKILL it cannot stop us."""
    return os.getppid() != parent
