"""Orders processes from `tests.faults.dying`, and knows when each was killed."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path
from typing import Any

from tests.faults.processes import end, is_alive, kill, start
from tests.support.waiting import eventually


class Killable:
    """One parent of processes that may die at a named point."""

    def __init__(self, folder: Path) -> None:
        """`folder` keeps the parent's own log."""
        self._parent = start(
            "tests.faults.dying",
            folder / "dying.log",
            {},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._lock = threading.Lock()
        self._living: list[int] = []

    def order(
        self,
        folder: Path,
        environment: dict[str, str],
        role: str,
        *,
        point: str = "",
        faults: tuple[str, ...] = (),
        arguments: tuple[str, ...] = (),
    ) -> int:
        """Start a process in a role; its id."""
        told: dict[str, Any] = {
            "role": role,
            "point": point,
            "faults": faults,
            "arguments": arguments,
            "environment": environment,
            "flag": str(folder / "killed"),
            "log": str(folder / f"{role}.log"),
        }
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        with self._lock:
            self._parent.stdin.write(json.dumps(told).encode() + b"\n")
            self._parent.stdin.flush()
            pid = int(self._parent.stdout.readline())
        self._living.append(pid)
        return pid

    def killed_at(self, folder: Path, pid: int, seconds: float = 20) -> float:
        """Wait until it has died at its point; when that was, in monotonic seconds."""
        flag = folder / "killed"
        eventually(lambda: not is_alive(pid), seconds, "it dies")
        assert flag.exists(), "it ended before it came to its point"
        return float(flag.read_text())

    def end_all(self) -> None:
        """End every process that was ordered and still runs."""
        for pid in self._living:
            kill(pid)
        eventually(lambda: not any(is_alive(pid) for pid in self._living), 10, "all end")
        self._living.clear()

    def close(self) -> None:
        """End all, and their parent."""
        end(self._parent)
