"""Packages of npm's that a test runs, as their lock says."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

NPM_TIMEOUT = 120  # seconds
# What npm says if there is no network, and so no fault of ours.
NO_NETWORK = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT", "ENETUNREACH", "ENOTCACHED")


def install(source: Path, folder: Path) -> Path:
    """Install what the lock in `source` pins into a copy of it; gives that folder.

    The test is skipped where there is no npm, or no registry.
    """
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    shutil.copytree(source, folder, dirs_exist_ok=True)
    command = ["npm", "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
    command += ["--prefer-offline"]
    installed = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=NPM_TIMEOUT, check=False
    )
    if installed.returncode and any(code in installed.stderr for code in NO_NETWORK):
        pytest.skip("npm cannot reach its registry")
    assert installed.returncode == 0, installed.stderr
    return folder
