"""`python -m app demo`: ends well, and leaves nothing behind."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from app.cli.demo import Summary, report
from app.domain.standing import Standing
from app.local.comparison import Comparison
from app.local.demo import DemoResult
from app.local.sandbox_client import Truth
from app.local.stories import Story
from tests.support.cli import command_runner, processes_in, start, wait_for
from tests.support.waiting import eventually


def demo(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """The command, with its temporary folder in `folder`."""
    return start({"TMPDIR": str(folder)}, "demo", *arguments)


@pytest.mark.slow
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


LONG = "vs_1" + "x" * 40


def result(*comparisons: Comparison) -> DemoResult:
    story = Story("A late event", LONG, (("Stripe sent", ", ".join(["requires_input"] * 9)),))
    return DemoResult([*comparisons], [story], 9, 3, 2, 2)


def compared(reference: str, attempts: int) -> Comparison:
    """One that the ledger and Stripe agree on if no attempt has failed."""
    code = "document_unverified_other"
    standing = Standing("requires_input", LONG, 1, None, 3, code, "use_another_document", None)
    return Comparison(reference, standing, Truth("requires_input", LONG, code, attempts, None))


def shown(*comparisons: Comparison, show_all: bool = False) -> str:
    matching = sum(one.matches for one in comparisons)
    summary = Summary(len(comparisons), matching, 9, 3, 2, 2, 1.5)
    return report(summary, result(*comparisons), show_all=show_all)


def test_the_verdict_comes_first_and_names_who_differs() -> None:
    same, different = compared("user_0001", 3), compared("user_0002", 4)
    assert shown(same).startswith("All 1 users stand in the ledger as Stripe says.\n")
    told = shown(same, different)
    assert told.startswith("1 of 2 users do NOT stand in the ledger as Stripe says:\n")
    assert "They differ: user_0002" in told
    assert "user_0001" not in told


def test_all_shows_every_user() -> None:
    assert "\nuser_0001 " in shown(compared("user_0001", 3), show_all=True)


def test_nothing_is_wider_than_80_columns_and_no_id_is_split() -> None:
    told = shown(compared("user_100000", 3), compared("user_100001", 4), show_all=True)
    assert max(len(line) for line in told.splitlines()) <= 80
    assert LONG in told


@pytest.mark.slow
def test_the_demo_tells_of_its_dead_letter_and_of_a_resubmission(tmp_path: Path) -> None:
    ran = wait_for(demo(tmp_path, "--references", "30", "--all"), 120)
    assert ran.code == 0, ran.err
    assert ran.out.startswith("All 30 users stand in the ledger as Stripe says.\n")
    for title in ("A resubmission: user_", "A redaction: user_", "its replay: user_0001\n"):
        assert title in ran.out
    assert "  before           requires_input, next step submit\n" in ran.out
    assert ran.out.count("\nuser_") == 30
    assert max(len(line) for line in ran.out.splitlines()) <= 80


def test_a_demo_of_no_references_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = command_runner({}, monkeypatch, capsys)("demo", "--references", "0")
    assert ran.code == 2
    assert "--references" in ran.err
    assert "Traceback" not in ran.err
