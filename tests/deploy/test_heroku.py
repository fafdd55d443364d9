"""What Heroku gives a dyno, and what every process and command makes of it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

import app.web.__main__ as web
from app.cli.main import identity
from tests.support.cli import KEPT, ROOT, Run, command_runner
from workers import __main__ as workers

DYNO = {"DYNO": "run.1", "DATABASE_URL": "sqlite:///identity.db"}
REFUSED = "DATABASE_URL is SQLite, which is lost with the dyno: add a PostgreSQL"
# What these are given, so that they come as far as their settings.
ARGUMENTS = {
    "dlq show": ["evt_1"],
    "dlq discard": ["evt_1", "--why", "a test", "--yes"],
    "dlq replay": ["evt_1"],
    "operations show": ["op_1"],
    "operations stop": ["op_1"],
    "operations start": ["replay", "--why", "a test", "--yes"],
    "orphans claim": ["vs_1", "user_1"],
    "queue pause": ["--reason", "a test"],
    "references allow": ["user_1", "--reason", "a test"],
    "references forget": ["user_1", "--yes"],
    "references redact": ["user_1", "--yes"],
    "references refresh": ["user_1"],
    "references show": ["user_1"],
    "backfill": ["--since", "1h"],
}
# `doctor` says it as one of its findings; the others have no ledger, or one that is theirs alone.
OTHERWISE = {"doctor", "demo", "dev", "dev env", "dev trigger", "console password"}


def leaves(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[str]:
    """Every command that does something, as one types it."""
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from leaves(inner, (*words, name))
    if words and (not isinstance(command, click.Group) or command.invoke_without_command):
        yield " ".join(words)


COMMANDS = sorted({*leaves(identity)} - OTHERWISE)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `identity` on a dyno."""
    return command_runner(DYNO, monkeypatch, capsys)


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_on_a_dyno_refuses_sqlite(words: str, run: Run) -> None:
    code, out, errors = run(*words.split(), *ARGUMENTS.get(words, []))
    assert (code, out, errors) == (2, "", f"{REFUSED}\n")


@pytest.mark.parametrize("main", [web.main, workers.main], ids=["web", "worker"])
def test_a_process_on_a_dyno_refuses_sqlite(
    main: Callable[[], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in os.environ if name not in KEPT]:
        monkeypatch.delenv(name)
    for name, value in {**DYNO, "STRIPE_WEBHOOK_SECRET": "whsec_x"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code, *capsys.readouterr()) == (2, "", f"{REFUSED}\n")


def test_doctor_on_a_dyno_names_sqlite(run: Run) -> None:
    code, out, _ = run("doctor")
    assert code == 1
    assert REFUSED in out


def test_identity_is_a_command_in_a_dynos_shell(tmp_path: Path) -> None:
    """By `.profile`, in which Heroku's dynos begin, from whatever folder, and with its words."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\nprintf "%s|" "$PYTHONPATH" "$@"\nexit 7\n')
    python.chmod(0o755)
    ran = subprocess.run(
        ["bash", "-c", '. "$HOME/.profile" && identity dlq list --session "a b"'],
        cwd="/",
        env={"HOME": str(ROOT), "PATH": f"{tmp_path}:/usr/bin:/bin", "PYTHONPATH": "/mine"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (7, "")
    assert ran.stdout == f"{ROOT}/bin/..:/mine|-m|app|dlq|list|--session|a b|"
