"""The list of what a deployment installs: all that is locked, and nothing else."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from app.version import version
from tests.support.cli import ROOT

LOCKED = re.compile(r"^([\w.-]+)(?:\[[^]]*\])?==([^\s;]+)", re.MULTILINE)


@pytest.mark.slow
def test_it_lists_what_is_locked_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "sbom.json"
    ran = subprocess.run(
        ["make", "sbom", f"SBOM={file}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    listed = json.loads(file.read_text("utf-8"))
    assert (listed["bomFormat"], listed["specVersion"]) == ("CycloneDX", "1.6")
    about = listed["metadata"]["component"]
    assert (about["name"], about["version"]) == ("stripe-identity-reconciler", version())
    lock = (ROOT / "requirements.txt").read_text("utf-8")
    assert {(each["name"], each["version"]) for each in listed["components"]} == set(
        LOCKED.findall(lock)
    )
