"""A release by one command: what it refuses, what it writes, what is left to do."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from tests.releases.changelog import begun, released, section
from tests.releases.cut import CHANGELOG, PROJECT, Clone, files_after, problem_of, release_files
from tests.support.cli import ROOT

DAY = date(2030, 1, 2)
NOTES = "# Changelog\n\n## Unreleased\n\n- New.\n\n## 0.1.0, 2029-12-31\n\n- Old.\n"
READY = Clone(
    branch="main",
    is_clean=True,
    tags=frozenset({"v0.1.0"}),
    project='[project]\nname = "x"\nversion = "0.1.1.dev0"\n\n[tool.other]\nversion = "7"\n',
    changelog=NOTES,
)


def test_a_clean_main_with_something_to_say_can_be_released() -> None:
    assert problem_of(READY, "0.1.1") is None
    assert problem_of(READY, "1.0.0") is None


@pytest.mark.parametrize(
    ("clone", "version", "said"),
    [
        (READY, "1.0", "three numbers"),
        (READY, "v1.0.0", "three numbers"),
        (replace(READY, branch="fix"), "0.2.0", "this is fix"),
        (replace(READY, branch=""), "0.2.0", "no branch"),
        (replace(READY, is_clean=False), "0.2.0", "not committed"),
        (READY, "0.1.0", "0.1.0 is not later than 0.1.1.dev0"),
        (replace(READY, tags=frozenset({"v0.2.0"})), "0.2.0", "is a tag already"),
        (replace(READY, changelog=NOTES.replace("- New.", "")), "0.2.0", "says nothing"),
        (replace(READY, changelog=NOTES.replace("Unreleased", "Later")), "0.2.0", "has no"),
    ],
)
def test_what_cannot_be_released_is_refused(clone: Clone, version: str, said: str) -> None:
    assert said in str(problem_of(clone, version))


def test_a_release_has_its_version_and_its_day_and_nothing_else_changes() -> None:
    files = release_files(READY, "0.2.0", DAY)
    assert files[PROJECT] == READY.project.replace("0.1.1.dev0", "0.2.0")
    assert files[CHANGELOG] == NOTES.replace("Unreleased", "0.2.0, 2030-01-02")


def test_what_comes_after_a_release_is_not_called_like_it() -> None:
    files = files_after(release_files(READY, "0.2.0", DAY), "0.2.0")
    assert 'version = "0.2.1.dev0"' in files[PROJECT]
    assert files[CHANGELOG].startswith("# Changelog\n\n## Unreleased\n\n## 0.2.0, 2030-01-02\n")
    assert problem_of(replace(READY, changelog=files[CHANGELOG]), "0.3.0") is not None


def test_the_notes_of_a_version_are_its_part_of_the_changelog() -> None:
    notes = begun(released(NOTES, "0.2.0", DAY))
    assert section(notes, "0.2.0") == "- New."
    assert section(notes, "0.1.0") == "- Old."
    with pytest.raises(KeyError):
        section(notes, "0.3.0")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of the last commit, on main, as somebody who may commit."""
    folder = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", ROOT, folder], check=True, timeout=60)
    git(folder, "checkout", "-q", "-B", "main")
    git(folder, "config", "user.name", "Releaser")
    git(folder, "config", "user.email", "releaser@example.com")
    git(folder, "config", "commit.gpgsign", "false")
    git(folder, "config", "tag.gpgsign", "false")
    return folder


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder.parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


@pytest.mark.slow
def test_one_command_commits_and_tags_a_release(clone: Path) -> None:
    before = git(clone, "rev-parse", "HEAD")
    dry = python(clone, "tests.releases.cut", "7.8.9", "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert '+version = "7.8.9"' in dry.stdout
    assert git(clone, "status", "--porcelain") == ""

    ran = python(clone, "tests.releases.cut", "7.8.9")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1].split() == ["git", "push", "origin", "main", "v7.8.9"]
    assert git(clone, "rev-parse", "main~2") == before
    assert git(clone, "rev-parse", "v7.8.9^{commit}") == git(clone, "rev-parse", "main~1")
    assert git(clone, "status", "--porcelain") == ""
    assert python(clone, "app", "--version").stdout == "identity 7.8.10.dev0\n"

    git(clone, "checkout", "-q", "v7.8.9")
    assert python(clone, "app", "--version").stdout == "identity 7.8.9\n"
    assert python(clone, "tests.releases.changelog", "7.8.9").stdout.startswith("- ")
    kept = {path.name for path in (clone / "tests/releases/7.8.9").iterdir()}
    assert kept >= {"jobs.json", "ledger.sqlite.sql", "ledger.postgresql.sql", "statements.json"}

    git(clone, "checkout", "-q", "main")
    again = python(clone, "tests.releases.cut", "7.8.9")
    assert again.returncode == 1
    assert "not later than 7.8.10.dev0" in again.stderr
