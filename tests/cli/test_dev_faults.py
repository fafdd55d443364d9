"""`dev` where it cannot start, and where it is broken off: one line, and no process left."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.cli import ROOT, Run, command_runner, processes_in
from tests.support.dev import dev, free_ports
from tests.support.waiting import eventually


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `identity` in this process, with no settings."""
    return command_runner({}, monkeypatch, capsys)


@pytest.mark.parametrize("option", ["--port", "--sandbox-port", "--valkey-port"])
def test_a_port_that_does_not_exist_is_an_error_of_the_call(run: Run, option: str) -> None:
    ran = run("dev", option, "80000")
    assert ran.code == 2
    assert f"'{option}': 80000 is not in the range" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    "folder", ["file/below", pytest.param("/proc/dev", marks=pytest.mark.slow)]
)
def test_a_folder_that_cannot_be_written_is_named_in_one_line(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").touch()
    place = tmp_path / folder  # an absolute one stays as it is
    with dev(place, *free_ports()) as running:
        assert running.process.wait(60) == 1
    (line,) = running.text.splitlines()
    assert line.startswith(f"Error: {place}: ")
    assert "--folder" in line


def start(folder: Path, stdout: int) -> subprocess.Popen[str]:
    """`dev`, with its output to this open file."""
    return subprocess.Popen(
        [sys.executable, "-m", "app", "dev", "--folder", str(folder), *free_ports()],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_closed_pipe_ends_it_with_one_line(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with start(tmp_path, writing) as process:
        os.close(writing)
        with os.fdopen(reading) as pipe:
            assert pipe.readline() == "starting Valkey …\n"  # as `head -1` does
        assert process.wait(60) == 1
        assert process.stderr is not None
        assert process.stderr.read() == "Error: standard output: Broken pipe\n"
    assert processes_in(tmp_path) == []


@pytest.mark.slow
def test_a_full_disk_behind_its_output_ends_it_with_one_line(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full, start(tmp_path, full.fileno()) as process:
        assert process.wait(60) == 1
        assert process.stderr is not None
        assert process.stderr.read() == "Error: standard output: No space left on device\n"
    assert processes_in(tmp_path) == []


@pytest.mark.parametrize(
    "asked", [signal.SIGINT, pytest.param(signal.SIGHUP, marks=pytest.mark.slow)]
)
def test_a_ctrl_c_while_it_starts_is_one_line_and_leaves_nothing(
    tmp_path: Path, asked: signal.Signals
) -> None:
    with dev(tmp_path, *free_ports()) as running:
        eventually(lambda: "starting Valkey" in running.text, 60)
        assert running.stop(asked, asked) == 130
    assert running.lines[-1] == "interrupted before all was up; nothing is left running.\n"
    assert "Traceback" not in running.text
    assert processes_in(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("tenths", range(1, 50, 4))
def test_a_ctrl_c_at_any_moment_leaves_neither_process_nor_traceback(
    tmp_path: Path, tenths: int
) -> None:
    with dev(tmp_path, *free_ports(), PYTHONPROFILEIMPORTTIME="1") as running:
        # Our code runs. Before, Python starts itself, and would print where it was.
        eventually(lambda: re.search(r"\| +app\.", running.text), 60)
        time.sleep(tenths / 10)
        # While Python imports, the signal itself ends it.
        assert running.stop(signal.SIGINT) in (130, -signal.SIGINT, 0)
    assert "Traceback" not in running.text
    assert processes_in(tmp_path) == []


@pytest.mark.slow
def test_a_closed_terminal_stops_everything(tmp_path: Path) -> None:
    with dev(tmp_path, *free_ports()) as running:
        running.up()
        assert running.stop(signal.SIGHUP) == 0
    assert processes_in(tmp_path) == []


@pytest.mark.slow
def test_what_a_killed_one_has_left_is_named_and_keeps_its_folder(tmp_path: Path) -> None:
    with dev(tmp_path, *free_ports()) as first:
        first.up()
        first.process.kill()
        first.process.wait()
    with dev(tmp_path, *free_ports()) as second:
        assert second.process.wait(60) == 1
    (line,) = second.text.splitlines()
    assert "what a killed one has left" in line
    left = line.partition("`kill ")[2].partition("`")[0].split()
    assert len(left) == 4  # Valkey, sandbox, web, workers
    for pid in left:
        os.kill(int(pid), signal.SIGTERM)
    eventually(lambda: processes_in(tmp_path) == [], 60)


@pytest.mark.slow
def test_the_usual_ports_are_taken_where_they_are_free_and_others_said(tmp_path: Path) -> None:
    def is_free(port: int) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) != 0

    usual = [port for port in (8000, 12111, 6399) if is_free(port)]
    with dev(tmp_path / "one") as one:
        told = one.up().text
        for port in (8000, 12111, 6399):
            assert (f"127.0.0.1:{port}" in told) == (port in usual)
        with dev(tmp_path / "two") as two:
            told = two.up().text
            for name, port in (("web", 8000), ("sandbox", 12111), ("Valkey", 6399)):
                assert f"port {port} is in use: {name} is at port " in told
