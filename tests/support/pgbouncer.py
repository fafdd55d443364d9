"""A PgBouncer before a private PostgreSQL: Debian's, in any of its modes."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.postgres import Postgres, as_user

PORT = 6432
START_TIMEOUT = 20.0  # seconds
# In the environment: the mode of a pooler that the tests' PostgreSQL is reached through.
MODE = "TEST_POOLER"
USUAL_PLACE = "/usr/sbin"  # Debian's, which is not in everyone's PATH


@contextmanager
def pooled(server: Postgres, mode: str, **settings: object) -> Iterator[Postgres]:
    """The server, whose addresses lead to it through a PgBouncer in this mode.

    `settings` are more of PgBouncer's. Without the program the test is skipped, and fails in CI.
    """
    program = _program()
    directory = Path(tempfile.mkdtemp(prefix="pgb-", dir="/tmp"))
    process = None
    try:
        options = as_user(directory)
        _write(directory, server, {"pool_mode": mode, **settings})
        process = _start(program, directory, options)
        through = replace(server, door=(directory, PORT))
        _wait_for(through, process)
        yield through
    finally:
        if process is not None:
            process.kill()
            process.wait()
        shutil.rmtree(directory, ignore_errors=True)


def log_of(server: Postgres) -> str:
    """What the pooler before a server has logged."""
    assert server.door is not None
    log = server.door[0] / "log"
    return log.read_text() if log.exists() else ""


def _program() -> str:
    found = shutil.which("pgbouncer", path=os.pathsep.join((os.environ["PATH"], USUAL_PLACE)))
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("pgbouncer is not installed")
        pytest.skip("pgbouncer is not installed")
    return found


def _write(directory: Path, server: Postgres, settings: dict[str, object]) -> None:
    given = {
        "listen_port": PORT,
        "unix_socket_dir": directory,
        "auth_type": "trust",
        "auth_file": directory / "users",
        "logfile": directory / "log",
        "max_client_conn": 100,
        **settings,
    }
    lines = [
        "[databases]",
        f"* = host={server.directory} port={server.port}",
        "[pgbouncer]",
        *(f"{name} = {value}" for name, value in given.items()),
    ]
    (directory / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
    (directory / "users").write_text('"postgres" ""\n"stranger" ""\n')


def _start(program: str, directory: Path, options: dict[str, Any]) -> subprocess.Popen[bytes]:
    command = [program, str(directory / "pgbouncer.ini")]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=directory, **options)


def _wait_for(server: Postgres, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while "process up" not in (log := log_of(server)):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(log)
        time.sleep(0.02)
