"""The GitHub workflows: of the form GitHub takes, with nothing an attacker could use, calling what
exists. They have not run on GitHub: that is all that can be known of them here."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.cli import ROOT

GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
BIN = Path(sys.executable).parent
# A commit, and the release that it is.
PINNED = re.compile(r"uses: (?:\./\S+ .*|[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$")
TARGET = re.compile(r"^([a-z-]+):", re.MULTILINE)
ids = [path.name for path in WORKFLOWS]
every_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=ids)


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    return dict(yaml.safe_load(path.read_text("utf-8"))["jobs"])


def commands(path: Path) -> Iterator[str]:
    for job in jobs(path).values():
        for step in job.get("steps", []):
            yield from step.get("run", "").splitlines()


def ran(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def check_form(folder: Path) -> subprocess.CompletedProcess[str]:
    """By GitHub's own schemas, of which check-jsonschema has a copy."""
    files = sorted((folder / "workflows").glob("*.yml"))
    checked = ran(BIN / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *files)
    if checked.returncode:
        return checked
    name = "vendor.dependabot"
    return ran(BIN / "check-jsonschema", "--builtin-schema", name, folder / "dependabot.yml")


def audit(folder: Path) -> subprocess.CompletedProcess[str]:
    return ran(BIN / "zizmor", "--offline", "--no-progress", "--persona=pedantic", folder)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """`.github`, to plant a mistake in."""
    return Path(shutil.copytree(GITHUB, tmp_path / ".github"))


def plant(copy: Path, file: str, right: str, wrong: str) -> None:
    text = (copy / file).read_text("utf-8")
    assert right in text
    (copy / file).write_text(text.replace(right, wrong, 1), "utf-8")


def test_they_have_the_form_that_github_takes() -> None:
    checked = check_form(GITHUB)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "right", "wrong"),
    [
        ("workflows/ci.yml", "timeout-minutes: 60", "timeout-minutes: soon"),
        ("workflows/release.yml", "needs: test", "need: test"),
        ("workflows/release.yml", "contents: write", "contents: delete"),
        ("dependabot.yml", "interval: weekly", "interval: often"),
    ],
)
def test_a_mistake_of_form_is_found(copy: Path, file: str, right: str, wrong: str) -> None:
    plant(copy, file, right, wrong)
    assert check_form(copy).returncode == 1


def test_nothing_in_them_helps_an_attacker() -> None:
    audited = audit(GITHUB)
    assert audited.returncode == 0, audited.stdout


@pytest.mark.parametrize(
    ("right", "wrong", "found"),
    [
        ("${GITHUB_REF_NAME#v}", "${{ github.ref_name }}", "template-injection"),
        ("@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "@v7", "unpinned-uses"),
        ("persist-credentials: false", "fetch-depth: 1", "artipacked"),
        ("permissions: {}", "permissions: write-all", "excessive-permissions"),
    ],
)
def test_a_weakness_is_found(copy: Path, right: str, wrong: str, found: str) -> None:
    plant(copy, "workflows/release.yml", right, wrong)
    audited = audit(copy)
    assert audited.returncode != 0
    assert found in audited.stdout


@every_workflow
def test_every_action_is_pinned_to_a_commit_and_says_its_release(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    used = [line.strip().removeprefix("- ") for line in lines if "uses:" in line]
    assert used
    assert [line for line in used if not PINNED.match(line)] == []


@every_workflow
def test_every_job_ends_in_time(path: Path) -> None:
    # One that calls another workflow has that one's limits.
    assert [
        name for name, job in jobs(path).items() if not ("timeout-minutes" in job or "uses" in job)
    ] == []


@every_workflow
def test_every_file_that_an_action_is_given_exists(path: Path) -> None:
    given = [step.get("with", {}) for job in jobs(path).values() for step in job.get("steps", [])]
    files = [
        each[name] for each in given for name in ("file", "python-version-file") if name in each
    ]
    assert files
    assert [name for name in files if not (ROOT / name).exists()] == []


@every_workflow
def test_every_command_of_ours_exists(path: Path) -> None:
    targets = TARGET.findall((ROOT / "Makefile").read_text("utf-8"))
    missing = []
    for command in commands(path):
        program, *rest = command.split()
        if program == "make":
            missing += [name for name in rest if name not in targets]
        elif program in ("bash", ".venv/bin/python") and rest[0] != "-m":
            missing += [] if (ROOT / rest[0]).exists() else [rest[0]]
    assert missing == []
