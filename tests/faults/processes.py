"""Processes of the suite: each in a session of its own, none left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
TICKS = os.sysconf("SC_CLK_TCK")

_started: dict[int, subprocess.Popen[bytes]] = {}


def start(
    module: str, log: Path, environment: dict[str, str], *arguments: str, **options: object
) -> subprocess.Popen[bytes]:
    """`python -m module` with this environment and no other, its output added to `log`."""
    return start_command([sys.executable, "-m", module, *arguments], log, environment, **options)


def start_command(
    command: Sequence[str], log: Path, environment: dict[str, str], **options: object
) -> subprocess.Popen[bytes]:
    """The same for any program."""
    with log.open("ab") as output:
        process: subprocess.Popen[bytes] = subprocess.Popen(
            command,
            cwd=ROOT,
            env={"PATH": os.environ.get("PATH", ""), **environment},
            stderr=output,
            start_new_session=True,
            **{"stdin": subprocess.DEVNULL, "stdout": output, **options},  # type: ignore[call-overload]
        )
    _started[process.pid] = process
    return process


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill it and all that it has started in its session."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin is not None:
        process.stdin.close()
    if process.stdout is not None:
        process.stdout.close()
    _started.pop(process.pid, None)


def reap() -> list[int]:
    """Kill whatever was not ended; gives the process ids."""
    left = list(_started.values())
    for process in left:
        end(process)
    return [process.pid for process in left]


def kill(pid: int, sent: int = signal.SIGKILL) -> bool:
    """Signal one process. False if it has gone by itself."""
    try:
        os.kill(pid, sent)
    except ProcessLookupError:
        return False
    return True


def parent_of(pid: int) -> int | None:
    """Its parent; None if it has gone, or is a zombie."""
    fields = _stat(pid)
    return None if fields is None or fields[0] == "Z" else int(fields[1])


def is_alive(pid: int) -> bool:
    """Whether it runs."""
    return parent_of(pid) is not None


def group_is_gone(leader: int) -> bool:
    """Whether no process of the session is left, zombies aside."""
    return not any(
        fields is not None and fields[0] != "Z" and int(fields[3]) == leader
        for fields in (_stat(int(entry.name)) for entry in Path("/proc").glob("[0-9]*"))
    )


def cpu_seconds(pid: int) -> float:
    """The processor's time that it has taken so far."""
    fields = _stat(pid)
    return 0.0 if fields is None else (int(fields[11]) + int(fields[12])) / TICKS


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/pid/stat after the name: state, parent, group, session, …"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
