"""`python -m app dev`: starts, prints what to try, stops, and finds its data again."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from app.local.valkey import free_port
from tests.support.cli import ROOT, processes_in
from tests.support.waiting import eventually


@dataclass
class Dev:
    """A running `dev`, and what it has printed."""

    process: subprocess.Popen[str]
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
        return self.process.wait(60)


@contextmanager
def dev(folder: Path, port: int, sandbox_port: int, **environment: str) -> Iterator[Dev]:
    command = [sys.executable, "-m", "app", "dev", "--folder", str(folder)]
    with subprocess.Popen(
        [*command, "--port", str(port), "--sandbox-port", str(sandbox_port)],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        found = Dev(process)
        reader = threading.Thread(target=found.read, daemon=True)
        reader.start()
        try:
            yield found
        finally:
            if process.poll() is None:
                found.stop(signal.SIGINT)
            reader.join(5)


def up(dev: Dev) -> Dev:
    """The same, once it has printed everything."""
    eventually(lambda: "takes everything down" in dev.text or dev.process.poll() is not None, 60)
    assert dev.process.poll() is None, dev.text
    return dev


def told_commands(text: str) -> list[list[str]]:
    """The curl commands that were printed, as their arguments."""
    joined = text.replace("\\\n", " ")
    return [shlex.split(line) for line in joined.splitlines() if line.strip().startswith("curl")]


def do(command: list[str], **replaced: str) -> Any:
    """What the command does, done here; `…` in it stands for what a person fills in."""
    url, headers, data, auth = "", {}, [], None
    words = iter(command[1:])
    for word in words:
        if word == "-u":
            user, _, password = next(words).partition(":")
            auth = (user, password)
        elif word == "-d":
            data.append(next(words))
        elif word == "-H":
            name, _, value = next(words).partition(": ")
            headers[name] = value
        elif word != "-s":
            url = word
    for old, new in replaced.items():
        url = url.replace(f"{old}_…", new)
    if not data:
        return requests.get(url, headers=headers, auth=auth, timeout=30)
    headers["Content-Type"] = "application/x-www-form-urlencoded"  # as curl does
    return requests.post(url, data="&".join(data), headers=headers, auth=auth, timeout=30)


def test_the_printed_commands_work_and_the_next_start_finds_the_data_again(tmp_path: Path) -> None:
    folder, ports = tmp_path / "data", (free_port(), free_port())
    with dev(folder, *ports) as first:
        told = up(first).text
        for port in ports:
            assert f"http://127.0.0.1:{port}" in told
        create, submit, read = told_commands(told)
        session = do(create).json()
        assert session["client_reference_id"] == "user_1"
        assert do(submit, vs=session["id"]).ok
        eventually(lambda: stands(do(read)) == "verified", 30)
        secrets = re.findall(r"Bearer (\w+)", told)
        assert secrets
        assert first.stop(signal.SIGINT) == 0
    assert "Traceback" not in first.text
    assert f"Data stays in {folder}" in first.text
    assert processes_in(folder) == []
    assert (folder / "secrets.json").stat().st_mode & 0o077 == 0

    with dev(folder, *ports) as second:
        told = up(second).text
        assert re.findall(r"Bearer (\w+)", told) == secrets
        assert stands(do(read)) == "verified"
        # All of it works on, the queue as well.
        another = do(for_user_2(create)).json()
        assert do(submit, vs=another["id"]).ok
        eventually(lambda: stands(do(for_user_2(read))) == "verified", 30)
        assert second.stop(signal.SIGTERM) == 0
    assert processes_in(folder) == []


def for_user_2(command: list[str]) -> list[str]:
    return [word.replace("user_1", "user_2") for word in command]


def stands(answer: requests.Response) -> str | None:
    return answer.json()["standing"]["status"] if answer.ok else None


def test_an_impatient_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    with dev(tmp_path, free_port(), free_port()) as running:
        up(running)
        assert running.stop(signal.SIGINT, signal.SIGINT, signal.SIGINT) == 0
        assert "Traceback" not in running.text
    assert processes_in(tmp_path) == []


@pytest.mark.parametrize("busy", ["--port", "--sandbox-port"])
def test_a_busy_port_is_named_in_one_line(tmp_path: Path, busy: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        ports = (taken, free_port()) if busy == "--port" else (free_port(), taken)
        with dev(tmp_path, *ports) as running:
            assert running.process.wait(60) == 1
    (line,) = running.text.splitlines()
    assert str(taken) in line
    assert processes_in(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("ports", ["the same", "others"])
def test_a_second_start_does_not_touch_the_first_ones_data(tmp_path: Path, ports: str) -> None:
    taken = free_port(), free_port()
    with dev(tmp_path, *taken) as first:
        up(first)
        before = sorted(file.name for file in (tmp_path / "valkey").rglob("*"))
        other = taken if ports == "the same" else (free_port(), free_port())
        with dev(tmp_path, *other) as second:
            assert second.process.wait(60) == 1
        assert len(second.text.splitlines()) == 1
        assert sorted(file.name for file in (tmp_path / "valkey").rglob("*")) == before
        assert first.stop(signal.SIGINT) == 0


def test_a_wrong_secret_of_ones_own_is_named(tmp_path: Path) -> None:
    with dev(tmp_path, free_port(), free_port(), STRIPE_WEBHOOK_SECRET="nonsense") as running:
        assert running.process.wait(60) == 2
    (line,) = running.text.splitlines()
    assert line.startswith("STRIPE_WEBHOOK_SECRET")
    assert "nonsense" not in line
