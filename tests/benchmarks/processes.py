"""Start processes, measure the CPU of their trees, and stop every one of them."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
TICKS = os.sysconf("SC_CLK_TCK")
START_WITHIN = 30.0
STOP_WITHIN = 15.0
LOG_LINES = 15


class Failed(Exception):
    """A measurement that could not be made; the text says why."""


@dataclass(frozen=True)
class Command:
    """What to start, and where."""

    arguments: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    folder: Path = ROOT

    @classmethod
    def python(cls, *arguments: str, environment: dict[str, str], folder: Path = ROOT) -> Command:
        """This interpreter with these arguments."""
        return cls((sys.executable, *arguments), environment, folder)


@dataclass(frozen=True)
class Task:
    """One line of /proc: whose child, and its CPU time with that of its dead children."""

    pid: int
    parent: int
    cpu: float  # seconds


def _tasks() -> dict[int, Task]:
    found = {}
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        with suppress(OSError):  # it has ended meanwhile
            text = Path(entry.path, "stat").read_text()
            fields = text.rpartition(")")[2].split()
            cpu = sum(map(int, fields[11:15])) / TICKS
            found[int(entry.name)] = Task(int(entry.name), int(fields[1]), cpu)
    return found


def _tree(root: int) -> list[Task]:
    tasks = _tasks()
    chosen = [tasks[root]] if root in tasks else []
    for task in chosen:  # grows while it is walked
        chosen += [child for child in tasks.values() if child.parent == task.pid]
    return chosen


def _own_memory(pid: int) -> int:
    """Bytes: pages that several processes share are divided among them. 0: it has ended."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    [line] = [line for line in rollup.splitlines() if line.startswith("Pss:")]
    return int(line.split()[1]) * 1024


def cpu_of(root: int) -> float:
    """Seconds of CPU that a process and all its descendants have used, the dead ones included."""
    return sum(task.cpu for task in _tree(root))


@dataclass
class Process:
    """A running process of ours."""

    popen: subprocess.Popen[bytes]
    log: Path

    def cpu(self) -> float:
        """Seconds of CPU of its whole tree."""
        return cpu_of(self.popen.pid)

    def memory(self) -> int:
        """Bytes of memory that its whole tree holds alone; what children share counts once."""
        return sum(_own_memory(task.pid) for task in _tree(self.popen.pid))

    def alive(self) -> bool:
        """Whether it still runs."""
        return self.popen.poll() is None

    def tail(self) -> str:
        """The last lines that it wrote."""
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join([f"--- {self.log.name}", *lines[-LOG_LINES:]])

    def stop(self) -> None:
        """SIGTERM, and time to end: for who has data to write. Then as `kill`."""
        if self.alive():
            self.popen.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.popen.wait(STOP_WITHIN)
        self.kill()

    def kill(self) -> None:
        """SIGKILL to it and to its whole tree: what it would still do is of no interest."""
        if not self.alive():
            return
        self.popen.send_signal(signal.SIGSTOP)  # it starts no child while we look
        for task in _tree(self.popen.pid):
            with suppress(ProcessLookupError):
                os.kill(task.pid, signal.SIGKILL)
        self.popen.wait()


def _die_with_parent() -> None:
    """Have the kernel end the process where a killed benchmark could not."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@contextmanager
def running(command: Command, log: Path, *, graceful: bool = False) -> Iterator[Process]:
    """The process, ended at the end, `graceful` or at once; what it says goes to `log`."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with log.open("ab") as output:
        popen = subprocess.Popen(
            command.arguments,
            cwd=command.folder,
            env={**inherited, **command.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # A terminal's Ctrl-C is for us: we stop them in their order.
            start_new_session=True,
            # Between fork and exec it makes one system call and takes no lock.
            preexec_fn=_die_with_parent,  # noqa: PLW1509
        )
    process = Process(popen, log)
    try:
        yield process
    finally:
        if graceful:
            process.stop()
        else:
            process.kill()


def run(command: Command, log: Path, seconds: float) -> None:
    """Run to its end. Raises Failed where it takes too long or its exit code is not 0."""
    with running(command, log) as process:
        wait_until(lambda: not process.alive(), seconds, f"end of {command.arguments[-1]}")
        if process.popen.returncode != 0:
            raise Failed(f"exit code {process.popen.returncode}\n{process.tail()}")


def wait_until(
    look: Callable[[], bool],
    seconds: float,
    what: str,
    needed: Sequence[Process] = (),
    every: float = 0.01,
) -> None:
    """Raises Failed where `look` does not come true in time, or one of `needed` ends before."""
    deadline = time.monotonic() + seconds
    while not look():
        ended = [process for process in needed if not process.alive()]
        if ended or time.monotonic() > deadline:
            logs = "\n".join(process.tail() for process in needed)
            raise Failed(f"no {what} within {seconds:.0f} s\n{logs}")
        time.sleep(every)


def free_port() -> int:
    """A port of loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Whether something accepts connections there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
