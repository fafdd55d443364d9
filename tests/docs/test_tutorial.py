"""`docs/tutorial.md`, typed by a newcomer: every command, in order, beside a real `dev`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.docs.pages import DOCS, ROOT, blocks
from tests.support.dev import dev

TUTORIAL = DOCS / "tutorial.md"
VENV = ".venv/bin/python"
INSTALL, DEMO, DEV = "python3 -m venv", f"{VENV} -m app demo", f"{VENV} -m app dev"
# Between the outputs of two blocks.
MARK = "=== end of block"


class Step(NamedTuple):
    """A block of commands, and what the tutorial shows of their output."""

    commands: str
    shown: list[str]


def steps() -> list[Step]:
    found: list[Step] = []
    for block in blocks(TUTORIAL, "sh", "text"):
        if block.language == "sh":
            found.append(Step(block.text.strip(), []))
        else:
            found[-1].shown.extend(block.text.splitlines())
    return found


def in_one_shell(scripts: list[str], folder: Path) -> list[str]:
    """What each block prints, in a shell that runs all of them and stops at the first failure."""
    script = "".join(f"{block}\necho '{MARK}'\n" for block in scripts)
    script = script.replace(DEV, f"{DEV} --folder {folder}").replace(VENV, sys.executable)
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT,
        env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    outputs = ran.stdout.split(MARK)
    failed = "" if ran.returncode == 0 else scripts[len(outputs) - 1]
    assert ran.returncode == 0, f"{failed}\n{ran.stdout}\n{ran.stderr}"
    return outputs


def is_in(line: str, output: str) -> bool:
    """Whether a line is in the output; `…` stands for what differs from run to run."""
    pattern = re.escape(line).replace("…", ".*")
    return any(re.fullmatch(pattern, each) for each in output.splitlines())


@pytest.mark.slow
def test_every_command_of_the_tutorial_works_and_prints_what_it_shows(tmp_path: Path) -> None:
    install, demo, start, *rest = steps()
    # What made this test's own environment.
    assert install.commands.startswith(INSTALL)
    assert (demo.commands, start.commands) == (DEMO, DEV)
    with dev(tmp_path) as running:
        running.up()
        outputs = in_one_shell([demo.commands, *(step.commands for step in rest)], tmp_path)
        assert running.stop(signal.SIGINT) == 0
    for step, output in zip([demo, *rest], outputs, strict=False):
        assert [line for line in step.shown if not is_in(line, output)] == [], output
