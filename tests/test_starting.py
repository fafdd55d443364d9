"""What a process that stays up does first: help, version, settings."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from app import version as module
from app.starting import start
from app.version import PROJECT, version
from app.web import __main__ as web
from tests.support.cli import ROOT
from tests.support.stores import leave_as_later
from tests.workers.process import started
from workers import __main__ as workers

PROGRAMS = {"python -m app.web": web, "python -m workers": workers}
TAKES = {
    "python -m app.web": "--help, --version and --only console",
    "python -m workers": "--help and --version",
}
every_program = pytest.mark.parametrize("program", PROGRAMS)


def run(program: str, *arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as ended:
        PROGRAMS[program].main(arguments)
    return ended.value.code


@every_program
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_explains_settings_signals_and_exit_codes(
    capsys: pytest.CaptureFixture[str], program: str, flag: str
) -> None:
    assert run(program, flag) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert told.out.startswith(f"usage: {program}")
    for word in ("DATABASE_URL", "REDIS_URL", "SIGTERM", "Signals:", "Exit codes:"):
        assert word in told.out
    assert max(map(len, told.out.splitlines())) <= 100


@every_program
def test_every_variable_that_help_names_is_one(
    capsys: pytest.CaptureFixture[str], program: str
) -> None:
    run(program, "--help")
    words = set(capsys.readouterr().out.replace(",", " ").replace("(", " ").split())
    named = {word for word in words if word.isupper() and "_" in word}
    sources = ("settings.py", "environment.py", "console.py")
    known = "".join((ROOT / "app/configuration" / path).read_text() for path in sources)
    assert len(named) > 4
    assert [name for name in named if f'"{name}"' not in known] == []


@every_program
def test_the_version_is_that_of_the_project(
    capsys: pytest.CaptureFixture[str], program: str
) -> None:
    assert run(program, "--version") == 0
    assert capsys.readouterr().out == f"{program} {version()}\n"


@every_program
@pytest.mark.parametrize("argument", ["--port", "serve", "sk_live_PLANTED", "--help=1", ""])
def test_an_argument_that_it_does_not_take_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], program: str, argument: str
) -> None:
    assert run(program, argument) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == f"{program} takes {TAKES[program]}, and no other argument\n"


@every_program
def test_without_a_database_it_asks_for_one_by_name_and_leaves_no_file(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    program: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", "whsec_1")
    assert run(program) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("DATABASE_URL is not set: the ledger, as postgresql://")
    assert told.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_release_that_is_too_old_for_the_ledger_does_not_start_to_serve(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    leave_as_later(database_url, since="9999")
    monkeypatch.setattr("app.starting.configure", lambda log_format, **_: None)
    monkeypatch.setattr(web, "serve", lambda *_: pytest.fail("it serves"))
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", "whsec_1")
    assert run("python -m app.web") == 2
    told = capsys.readouterr().err
    assert told.endswith("(revision 9999): deploy the release that migrated it, or a later one\n")


@pytest.mark.slow
def test_a_release_that_is_too_old_for_the_ledger_does_not_start_to_work(database_url: str) -> None:
    leave_as_later(database_url)
    with started("-m", "workers", DATABASE_URL=database_url) as told:
        assert told.ended() == 2
        assert "too old for (revision 9999)" in told.lines[-1]
        assert "Traceback" not in told.text


def test_what_a_process_prepares_can_be_refused_as_a_setting_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "sqlite://")
    monkeypatch.setenv("SUBSCRIBER", "no.such:function")
    assert run("python -m workers") == 2
    assert capsys.readouterr().err.startswith("SUBSCRIBER ")


def test_settings_come_back_when_nothing_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.starting.configure", lambda log_format, **_: None)
    monkeypatch.setenv("EVENT_WORKERS", "3")
    assert start("program", "help", needed=(), arguments=()).event_workers == 3


def test_a_clone_that_is_not_installed_has_the_version_of_its_pyproject(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def absent(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(module, "installed_version", absent)
    written = tomllib.loads(PROJECT.read_text())["project"]["version"]
    assert module.version.__wrapped__() == written
    monkeypatch.setattr(module, "PROJECT", PROJECT / "no such file")
    assert module.version.__wrapped__() == "unknown"


def test_an_installed_one_has_the_version_of_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "installed_version", lambda name: f"9.8.7 of {name}")
    assert module.version.__wrapped__() == "9.8.7 of stripe-identity-reconciler"


def test_help_into_a_pipe_that_is_closed_ends_without_a_traceback() -> None:
    asks = "from app.starting import start; start('x', 'help', needed=(), arguments=['--help'])"
    shown = subprocess.run(
        ["sh", "-c", f'{sys.executable} -c "{asks}" | true'],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (shown.returncode, shown.stderr) == (0, "")
