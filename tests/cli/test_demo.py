"""`python -m app demo`: ends well, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.cli.demo import Line
from app.cli.local.stripe_side import Truth
from app.domain.reference import Standing
from tests.sandbox.processes import ROOT, eventually

STANDING = Standing("verified", "vs_1", 10, 10, 1, None, "none", None, 3)
TRUTH = Truth("verified", "vs_1", None, 1, None)


def demo(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """The command, with its temporary folder in `folder`."""
    return subprocess.Popen(
        [sys.executable, "-m", "app", "demo", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def running_in(folder: Path) -> list[str]:
    """The command lines and environments of all processes that know the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
            link = str((process / "cwd").readlink()).encode()
        except OSError:
            continue
        if str(folder).encode() in told + link:
            found.append(told.replace(b"\0", b" ").decode(errors="replace"))
    return found


def test_the_demo_ends_with_every_reference_in_step_and_leaves_nothing(tmp_path: Path) -> None:
    process = demo(tmp_path, "--references", "12", "--seed", "3", "--json")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    summary = json.loads(out.splitlines()[-1])
    assert [*summary] == [
        "references",
        "matching",
        "deliveries",
        "duplicates",
        "dead_lettered",
        "replayed",
        "seconds",
    ]
    assert summary["references"] == summary["matching"] == 12
    assert summary["deliveries"] > 12
    assert summary["dead_lettered"] >= 1
    assert summary["replayed"] >= summary["dead_lettered"]
    assert running_in(tmp_path) == []
    assert [*tmp_path.iterdir()] == []


@pytest.mark.slow
@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT])
def test_a_demo_that_is_broken_off_leaves_nothing(tmp_path: Path, asked: signal.Signals) -> None:
    process = demo(tmp_path, "--references", "5000")
    try:
        eventually(lambda: any("workers" in told for told in running_in(tmp_path)), 40)
        process.send_signal(asked)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 1
        assert "Traceback" not in err
        assert running_in(tmp_path) == []
        assert [*tmp_path.iterdir()] == []
    finally:
        process.kill()


def test_a_demo_of_no_references_is_refused(tmp_path: Path) -> None:
    process = demo(tmp_path, "--references", "0")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "Traceback" not in err


def test_a_line_matches_where_the_ledger_says_what_stripe_says() -> None:
    assert Line("user_1", STANDING, TRUTH).matches


@pytest.mark.parametrize(
    "standing",
    [
        None,
        replace(STANDING, status="processing"),
        replace(STANDING, session_id="vs_2"),
        replace(STANDING, session_id=None),
        replace(STANDING, attempts=2),
        replace(STANDING, last_error_code="abandoned"),
        replace(STANDING, redaction="redacted"),
    ],
    ids=["none", "status", "session", "no session", "attempts", "last error", "redaction"],
)
def test_a_line_does_not_match_where_anything_differs(standing: Standing | None) -> None:
    assert not Line("user_1", standing, TRUTH).matches


@pytest.mark.parametrize(
    "truth",
    [
        {"status": "canceled"},
        {"session_id": "vs_2"},
        {"last_error": "abandoned"},
        {"attempts": 0},
        {"redaction": "processing"},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_a_line_does_not_match_where_stripe_says_otherwise(truth: dict[str, Any]) -> None:
    assert not Line("user_1", STANDING, replace(TRUTH, **truth)).matches
