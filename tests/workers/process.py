"""A worker in a process of its own: `python -m tests.workers.process URL LEASE`.

What it does is told on its standard output, a line each.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from app.logs import configure
from app.queue.connection import open_redis
from app.queue.model import EVENTS
from app.queue.transitions import JobQueue
from tests.support.waiting import eventually
from tests.support.workers import run_alone
from workers.worker import Worker

ROOT = Path(__file__).parents[2]
# As long as the socket's timeout allows: whatever ends before was not a wait that ran out.
IDLE_WAIT = 4


def tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def run(function: str, arguments: list[Any]) -> None:
    """Take as many seconds as the job says."""
    job = arguments[0]
    tell(f"begin {job['n']}")
    time.sleep(job.get("seconds", 0))
    tell(f"end {job['n']}")


def main(url: str, lease: str) -> None:
    """Work until a signal."""
    configure("json")
    wait = JobQueue.wait

    def told_wait(queue: JobQueue) -> bool:
        found = wait(queue, IDLE_WAIT)
        tell("waited")  # not where a signal broke it off
        return found

    patch.object(JobQueue, "wait", told_wait).start()
    Worker(
        JobQueue(open_redis(url), EVENTS),
        partial(run_alone, run),
        lease=int(lease),
        token=lambda: uuid.uuid4().hex,
        chance=lambda: 1.0,
    ).work()
    tell("left")


class Told:
    """A process whose lines are read as they come."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def await_line(self, part: str, times: int = 1, seconds: float = 20) -> None:
        """Wait until so many lines have this in them."""

        def enough() -> bool:
            return sum(part in line for line in list(self.lines)) >= times

        try:
            eventually(enough, seconds)
        except AssertionError:
            raise AssertionError(f"no {part!r} within {seconds} s in:\n{self.text}") from None

    def ended(self, seconds: float = 20) -> int:
        """Its exit code, once it has ended."""
        code = self.process.wait(seconds)
        self._reader.join(5)
        return code


@contextmanager
def started(*command: str, **environment: str) -> Iterator[Told]:
    """A Python process that is killed at the end, if it has not ended by then."""
    inherited = {"PATH": "/usr/bin:/bin", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env={**inherited, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
    ) as process:
        told = Told(process)
        try:
            yield told
        finally:
            process.kill()
            told.ended()


@contextmanager
def working(url: str, lease: int = 60) -> Iterator[Told]:
    """A worker that has registered."""
    with started("-m", "tests.workers.process", url, str(lease)) as told:
        told.await_line("worker started")
        yield told


if __name__ == "__main__":
    main(*sys.argv[1:])
