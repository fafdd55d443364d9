"""The command line: run in this process, or started as a process of its own."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pytest

from app.cli.main import main

ROOT = Path(__file__).parents[2]
# All else of this machine's environment is kept from the commands.
KEPT = ("PATH", "HOME")


class CommandResult(NamedTuple):
    """The exit code of a command, and what it wrote to standard output and standard error."""

    code: int
    out: str
    err: str

    @property
    def object(self) -> dict[str, Any]:
        """Standard output, if it is one JSON object."""
        return dict(json.loads(self.out))

    @property
    def objects(self) -> list[dict[str, Any]]:
        """Standard output, if it is JSON objects, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]


class Run(Protocol):
    """Runs a command; `typed` is its standard input, `settings` go over the environment's."""

    def __call__(self, *arguments: str, typed: str = "", **settings: str) -> CommandResult: ...


def command_runner(
    environment: Mapping[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Runs `identity` in this process, with the environment as it is at that time."""

    def run(*arguments: str, typed: str = "", **settings: str) -> CommandResult:
        with monkeypatch.context() as patch:
            for name in [name for name in os.environ if name not in KEPT]:
                patch.delenv(name)
            for name, value in {**environment, **settings}.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["identity", *arguments])
            patch.setattr(sys, "stdin", io.StringIO(typed))
            capsys.readouterr()
            with pytest.raises(SystemExit) as ended:
                main()
        code = ended.value.code
        assert isinstance(code, int)
        return CommandResult(code, *capsys.readouterr())

    return run


def start(environment: Mapping[str, str], *arguments: str) -> subprocess.Popen[str]:
    """Start `identity` as a process, with these settings and none of this machine's."""
    return subprocess.Popen(
        [sys.executable, "-m", "app", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(process: subprocess.Popen[str], seconds: float = 60) -> CommandResult:
    """The result of a command that was started, once it has ended."""
    out, err = process.communicate(timeout=seconds)
    return CommandResult(process.returncode, out, err)


def processes_in(folder: Path) -> list[str]:
    """The command lines and environments of all processes that know the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            text = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
            directory = str((process / "cwd").readlink()).encode()
        except OSError:
            continue
        if str(folder).encode() in text + directory:
            found.append(text.replace(b"\0", b" ").decode(errors="replace"))
    return found
