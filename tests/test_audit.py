"""`.ci/audit` tells good news, bad news and no news apart."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.cli import ROOT

LOCKS = ("requirements.txt", "requirements-dev.txt")


@pytest.mark.parametrize(
    ("said", "code", "expected", "lines"),
    [
        ("No known vulnerabilities found", 0, 0, [f"{lock}: no known weakness" for lock in LOCKS]),
        (
            "Found 1 known vulnerability in 1 package",
            1,
            1,
            [f"{lock}: Found 1 known vulnerability in 1 package" for lock in LOCKS],
        ),
        (
            "ERROR: not reached",
            1,
            2,
            [
                "requirements.txt: not audited, for the advisories cannot be reached from here:",
                "ERROR: not reached",
            ],
        ),
    ],
)
def test_what_the_tool_says_is_passed_on(
    tmp_path: Path, said: str, code: int, expected: int, lines: list[str]
) -> None:
    tool = tmp_path / "uv"
    tool.write_text(f"#!/bin/sh\necho '{said}'\nexit {code}\n")
    tool.chmod(0o700)
    ran = subprocess.run(
        ["bash", ".ci/audit"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "UV": str(tool)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stdout.splitlines()) == (expected, lines)
