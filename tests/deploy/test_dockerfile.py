"""`deploy/Dockerfile` and `.dockerignore`, without building anything."""

from __future__ import annotations

import re
import subprocess
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests.deploy.dockerfile import (
    DOCKERFILE,
    committed_files,
    exec_form,
    line_of,
    read_stages,
    sent_files,
)
from tests.deploy.procfile import PROCFILE
from tests.support.cli import ROOT

TEXT = DOCKERFILE.read_text("utf-8")
STAGES = read_stages(TEXT)
RULES = (ROOT / ".dockerignore").read_text("utf-8")
HADOLINT = ROOT / ".venv/bin/hadolint"
IMAGES = ("identity", "sandbox")
PINNED = re.compile(r"^([\w.-]+(?:\[[\w,-]+\])?)==(\S+)", re.MULTILINE)


def hadolint(path: Path) -> str:
    """What it finds, of whatever weight."""
    ran = subprocess.run(
        [HADOLINT, "--no-color", path], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode in (0, 1), ran.stderr
    return ran.stdout


def test_hadolint_finds_nothing() -> None:
    assert hadolint(DOCKERFILE) == ""


@pytest.mark.parametrize(
    ("right", "wrong", "rule"),
    [
        ("ARG PYTHON=3.11-slim-bookworm\n", "FROM python\n", "DL3006"),
        ("USER 10001:10001", "USER root", "DL3002"),
        ('CMD ["python", "-m", "app.web"]', "CMD python -m app.web", "DL3025"),
        ("RUN rm -rf", "RUN cd / && rm -rf", "DL3003"),
    ],
)
def test_hadolint_finds_a_mistake(right: str, wrong: str, rule: str, tmp_path: Path) -> None:
    assert right in TEXT
    planted = tmp_path / "Dockerfile"
    planted.write_text(TEXT.replace(right, wrong))
    assert rule in hadolint(planted)


def test_the_python_is_that_of_the_tests() -> None:
    version = (ROOT / ".python-version").read_text().strip()
    bases = {stage.base for stage in STAGES.values() if stage.base not in STAGES}
    assert bases == {f"python:{version}-slim-bookworm"}


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_runs_as_a_user_of_a_number_who_is_not_root(name: str) -> None:
    user = line_of(STAGES[name], "USER")
    assert re.fullmatch(r"[1-9]\d{4}:[1-9]\d{4}", user)


def test_without_a_command_the_image_runs_the_procfiles_web() -> None:
    assert exec_form(line_of(STAGES["identity"], "CMD")) == PROCFILE["web"]
    assert list(STAGES)[-1] == "identity", "docker build makes the last one"


@pytest.mark.parametrize("name", ["build", "build-sandbox"])
def test_what_is_installed_is_wheels_whose_hashes_are_locked(name: str) -> None:
    (install,) = (each.text for each in STAGES[name].instructions if "pip " in each.text)
    assert "--require-hashes --only-binary :all: -r /requirements.txt" in install


def test_what_a_build_is_sent_is_copied_and_what_is_copied_is_sent() -> None:
    sent = sent_files(committed_files(), RULES)
    sources = copied_from_the_clone()
    of = {source: [name for name in sent if is_within(name, source)] for source in sources}
    assert [source for source, names in of.items() if not names] == []
    assert sorted(set(sent) - {name for names in of.values() for name in names}) == []


def copied_from_the_clone() -> set[str]:
    """The sources of every COPY but those of another stage."""
    locks = {"${REQUIREMENTS}": ["requirements.txt", "deploy/requirements-extras.txt"]}
    found: set[str] = set()
    for stage in STAGES.values():
        for instruction in stage.instructions:
            if instruction.name == "COPY" and not instruction.text.startswith("--from"):
                *sources, _ = instruction.text.split()
                found |= {name for source in sources for name in locks.get(source, [source])}
    return found


def is_within(name: str, source: str) -> bool:
    return name == source or name.startswith(f"{source}/")


@pytest.mark.parametrize(
    "name",
    [
        ".env",
        ".git/config",
        ".venv/bin/python",
        "app/__pycache__/version.cpython-311.pyc",
        "deploy/.env",
        "deploy/compose.yaml",
        "deploy/sandbox/README.md",
        "identity.db",
        "tests/conftest.py",
    ],
)
def test_a_build_is_not_sent(name: str) -> None:
    assert sent_files([name], RULES) == []
    assert sent_files(["app/version.py"], RULES) == ["app/version.py"]


def test_a_rule_of_the_ignored_that_let_all_through_would_be_found() -> None:
    sent = sent_files(committed_files(), RULES + "!tests\n")
    assert any(fnmatchcase(name, "tests/*") for name in sent)


@pytest.mark.parametrize("lock", ["extras", "sandbox"])
def test_an_images_lock_has_the_versions_that_the_tests_run(lock: str) -> None:
    tested = dict(PINNED.findall((ROOT / "requirements-dev.txt").read_text()))
    locked = PINNED.findall((ROOT / f"deploy/requirements-{lock}.txt").read_text())
    assert locked
    assert [pin for pin in locked if pin not in tested.items()] == []
