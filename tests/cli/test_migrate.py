"""`migrate`: what the release process of every deploy runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli.main import identity, main
from app.ledger.engine import open_engine
from app.ledger.migrate import head, is_current

ROOT = Path(__file__).parents[2]


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where DATABASE_URL points; there is nothing yet."""
    path = tmp_path / "ledger.db"
    monkeypatch.delenv("DYNO", raising=False)
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{path}")
    return path


def run(*arguments: str) -> str:
    """What the command prints, where it succeeds."""
    told = CliRunner().invoke(identity, ["migrate", *arguments], catch_exceptions=False)
    assert told.exit_code == 0
    return told.stdout


def fails(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> tuple[object, str, str]:
    """The exit code, the output and the errors of the whole command line."""
    monkeypatch.setattr(sys, "argv", ["identity", "migrate"])
    with pytest.raises(SystemExit) as end:
        main()
    told = capsys.readouterr()
    return end.value.code, told.out, told.err


def test_an_empty_database_is_brought_to_this_version(database: Path) -> None:
    assert run() == f"The ledger was brought to {head()}: {head()}.\n"
    engine = open_engine(f"sqlite:///{database}")
    assert is_current(engine)
    engine.dispose()


def test_a_second_run_changes_nothing(database: Path) -> None:
    run()
    before = database.read_bytes()
    assert run() == f"The ledger is at {head()} already.\n"
    assert database.read_bytes() == before


def test_json_says_what_was_applied(database: Path) -> None:
    assert json.loads(run("--json")) == {"applied": [head()], "revision": head()}
    assert json.loads(run("--json")) == {"applied": [], "revision": head()}


def test_it_needs_no_other_setting(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STRIPE_WEBHOOK_SECRET", "STRIPE_API_KEY", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    assert "brought to" in run()


def test_two_at_once_migrate_once(database: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "app", "migrate", "--json"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    ended = [(*process.communicate(timeout=30), process.returncode) for process in processes]
    assert [(errors, code) for _, errors, code in ended] == [(b"", 0)] * 2
    applied = sorted(json.loads(output)["applied"] for output, _, _ in ended)
    assert applied == [[], [head()]]


def test_a_wrong_database_url_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, database: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", "mysql://user:PLANTED@host/identity")
    code, output, errors = fails(capsys, monkeypatch)
    assert (code, output) == (2, "")
    assert errors.startswith("DATABASE_URL ") and errors.count("\n") == 1
    assert "PLANTED" not in errors


def test_a_database_that_is_away_is_one_line_and_exit_code_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, database: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{database / 'no' / 'ledger.db'}")
    code, output, errors = fails(capsys, monkeypatch)
    assert (code, output) == (1, "")
    assert "does not answer" in errors and errors.count("\n") == 1


def test_a_file_that_is_no_database_is_one_line_and_exit_code_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, database: Path
) -> None:
    database.write_text("this is no database, " * 100)
    code, output, errors = fails(capsys, monkeypatch)
    assert (code, output) == (1, "")
    assert errors.count("\n") == 1
    assert database.read_text().startswith("this is no database")


def test_on_a_dyno_sqlite_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, database: Path
) -> None:
    monkeypatch.setenv("DYNO", "release.1")
    code, _, errors = fails(capsys, monkeypatch)
    assert code == 2
    assert "lost with the dyno" in errors
    assert not database.exists()
