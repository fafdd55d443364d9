"""A disk under Valkey that takes its time: what is written meanwhile waits in Valkey's memory.

With `appendfsync everysec` that is what SIGKILL loses, and what a busy disk does at any time. The
system call is made slower by strace.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.faults.processes import start_command

# Seconds that the disk takes for each write that it is asked to keep, one a second.
DELAY = 0.7


def require_strace() -> None:
    """Skips the test where strace cannot slow a disk down; in CI that is a failure."""
    if shutil.which("strace") is None:
        assert os.environ.get("CI") != "true", "strace is not installed"
        pytest.skip("strace is not installed: it slows the disk down")


def slow_disk(pid: int, log: Path) -> subprocess.Popen[bytes]:
    """Have the disk take DELAY for this process and its threads, until it ends."""
    delay = f"inject=fdatasync:delay_enter={int(DELAY * 1e6)}"  # microseconds
    command = f"strace -f -qq -e trace=fdatasync -e {delay} -o /dev/null -p {pid}"
    return start_command(command.split(), log, {})
