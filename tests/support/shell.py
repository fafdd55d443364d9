"""A shell that runs the commands of a page of docs/ as a reader would."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.docs.pages import ROOT, Block

# Seconds for one block.
TIMEOUT = 240
# What bash sets by itself, and what `run` does.
NOT_THE_BLOCKS = {"PATH", "PYTHONPATH", "PWD", "OLDPWD", "SHLVL", "_"}


@dataclass(frozen=True)
class Ran:
    """What a block printed, and the variables that it set."""

    out: str
    variables: Mapping[str, str]


def run(block: Block, environment: Mapping[str, str], folder: Path) -> Ran:
    """Run a block in this folder, with this environment and none of the machine's own.

    `python` is the tests' own. The first command that fails ends the block, and the test.
    """
    assert block.language == "sh", block
    held = folder / "variables"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"set -a\n{block.text}\nenv -0 > {held}"],
        check=False,
        cwd=folder,
        env={
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, f"{block.text}\n{done.stdout}\n{done.stderr}"
    variables = dict(line.split("=", 1) for line in held.read_text().split("\0") if line)
    held.unlink()
    changed = {name for name, value in variables.items() if environment.get(name) != value}
    return Ran(done.stdout, {name: variables[name] for name in changed - NOT_THE_BLOCKS})
