"""One stack for each folder: a lock that its processes share, and that ends with the last one."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import IO

LOCK = "lock"
# Who asks whether the folder is in use holds the lock for an instant: tried so often, so many
# seconds apart.
TRIES, TRY_INTERVAL = 5, 0.05


class FolderInUse(Exception):
    """Another stack uses the folder, whose files two would corrupt."""


class FolderLock:
    """The lock of a folder. Children that inherit it hold it too, after their parent is killed."""

    def __init__(self, folder: Path) -> None:
        """`folder` exists by the time of `acquire`."""
        self._folder = folder
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Take the lock. Raises FolderInUse."""
        file = (self._folder / LOCK).open("a+")
        for _ in range(TRIES):
            if _locks(file, fcntl.LOCK_EX):
                break
            time.sleep(TRY_INTERVAL)
        else:
            with file:
                raise FolderInUse(_who_uses(self._folder, file))
        file.truncate(0)
        self._file = file
        self.add(os.getpid())

    def add(self, pid: int) -> None:
        """Note a process that uses the folder, for whoever finds it in use."""
        if self._file is not None:
            self._file.write(f"{pid}\n")
            self._file.flush()

    @property
    def inherited(self) -> tuple[int, ...]:
        """The descriptor that children are given, so that they hold the lock as well."""
        return () if self._file is None else (self._file.fileno(),)

    def release(self) -> None:
        """Give it back, once no child is left."""
        if self._file is not None:
            self._file.close()
            self._file = None


def is_in_use(folder: Path) -> bool:
    """Whether a stack runs in the folder. Raises OSError if that cannot be seen."""
    try:
        with (folder / LOCK).open() as file:
            return not _locks(file, fcntl.LOCK_SH)
    except FileNotFoundError:
        return False


def _locks(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _who_uses(folder: Path, lock: IO[str]) -> str:
    lock.seek(0)
    pids = [int(line) for line in lock.read().split()]
    left = [str(pid) for pid in pids[1:] if _runs(pid)]
    if left and not _runs(pids[0]):
        return f"{folder} is in use by what a killed one has left: `kill {' '.join(left)}` ends it"
    return f"{folder} is in use: it runs already" + (f", as process {pids[0]}" if pids else "")


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True
