"""`python -m app demo`: ends well, and leaves nothing behind."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.cli import processes_in, start, wait_for
from tests.support.waiting import eventually


def demo(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """The command, with its temporary folder in `folder`."""
    return start({"TMPDIR": str(folder)}, "demo", *arguments)


def test_the_demo_ends_with_every_reference_in_step_and_leaves_nothing(tmp_path: Path) -> None:
    ran = wait_for(demo(tmp_path, "--references", "12", "--seed", "3", "--json"), 120)
    assert ran.code == 0, ran.err
    summary = json.loads(ran.out.splitlines()[-1])
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
    assert processes_in(tmp_path) == []
    assert [*tmp_path.iterdir()] == []


@pytest.mark.slow
@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT])
def test_a_demo_that_is_interrupted_leaves_nothing(tmp_path: Path, asked: signal.Signals) -> None:
    process = demo(tmp_path, "--references", "5000")
    try:
        eventually(lambda: any("workers" in text for text in processes_in(tmp_path)), 40)
        process.send_signal(asked)
        ran = wait_for(process)
        assert ran.code == 1
        assert "Traceback" not in ran.err
        assert processes_in(tmp_path) == []
        assert [*tmp_path.iterdir()] == []
    finally:
        process.kill()


def test_a_demo_of_no_references_is_refused(tmp_path: Path) -> None:
    ran = wait_for(demo(tmp_path, "--references", "0"))
    assert ran.code == 2
    assert "Traceback" not in ran.err
