"""A running `dev`, and what it prints."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from app.local.valkey import free_port
from tests.support.cli import ROOT
from tests.support.waiting import eventually

# Seconds: each of its four processes may take 30 to stop, and Valkey 10.
STOP_WITHIN = 140


@dataclass
class Dev:
    """A running `dev`, and what it has printed."""

    process: subprocess.Popen[str]
    folder: Path
    lines: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.lines)

    def read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)

    def stop(self, *signals: signal.Signals) -> int:
        """Its exit code after these signals, shortly one after another."""
        for each in signals:
            self.process.send_signal(each)
            time.sleep(0.3)
        return self.process.wait(STOP_WITHIN)

    def up(self) -> Dev:
        """The same, once it has printed everything."""
        eventually(self._has_told_or_ended, 60, "dev is up")
        assert self.process.poll() is None, self.text
        return self

    def _has_told_or_ended(self) -> bool:
        return "takes everything down" in self.text or self.process.poll() is not None


@contextmanager
def dev(folder: Path, *options: str, **environment: str) -> Iterator[Dev]:
    """`dev` in the folder, with these options and nothing of this machine's environment."""
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "dev", "--folder", str(folder), *options],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    found = Dev(process, folder)
    reader = threading.Thread(target=found.read, daemon=True)
    reader.start()
    try:
        yield found
    finally:
        try:
            if process.poll() is None:
                found.stop(signal.SIGINT)
        finally:
            process.kill()
            process.wait(10)
            reader.join(10)
            # Not while it is read: closing would wait for the reader, and no signal ends that.
            assert not reader.is_alive(), "what `dev` has started holds its output open"
            process.stdout.close()


def told_commands(text: str) -> list[list[str]]:
    """The curl commands that were printed, as their arguments."""
    joined = text.replace("\\\n", " ")
    return [shlex.split(line) for line in joined.splitlines() if line.strip().startswith("curl")]


def do(command: list[str], **replaced: str) -> Any:
    """What a curl command does, done here; `…` in it stands for what a person fills in."""
    url, headers, data = "", {}, []
    words = iter(command[1:])
    for word in words:
        if word == "-d":
            data.append(next(words))
        elif word == "-H":
            header = Path(next(words).removeprefix("@")).read_text("utf-8").strip()
            name, _, value = header.partition(": ")
            headers[name] = value
        elif word != "-s":
            url = word
    for old, new in replaced.items():
        url = url.replace(f"{old}_…", new)
    if not data:
        return requests.get(url, headers=headers, timeout=30)
    headers["Content-Type"] = "application/x-www-form-urlencoded"  # as curl does
    return requests.post(url, data="&".join(data), headers=headers, timeout=30)


def free_ports() -> list[str]:
    """Options that let tests run beside each other, and beside whatever runs on this machine."""
    names = ("--port", "--sandbox-port", "--valkey-port")
    return [word for name in names for word in (name, str(free_port()))]
