"""What `faults_of` finds in an image's files: each kind of fault, planted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.deploy.contents import faults_of


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Files with nothing wrong."""
    put(tmp_path, "usr/bin/python3")
    put(tmp_path, "venv/lib/python3.11/site-packages/click/__init__.py")
    put(tmp_path, "venv/lib/python3.11/site-packages/click/__pycache__/__init__.cpython-311.pyc")
    put(tmp_path, "identity/app/version.py")
    put(tmp_path, "identity/app/__pycache__/version.cpython-311.pyc")
    assert faults_of(tmp_path) == []
    return tmp_path


def put(root: Path, name: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("usr/bin/gcc", "/usr/bin/gcc compiles"),
        ("usr/bin/gcc-12", "/usr/bin/gcc-12 compiles"),
        ("usr/local/bin/pip3.11", "/usr/local/bin/pip3.11 installs packages"),
        (
            "venv/lib/python3.11/site-packages/pip/__main__.pyc",
            "/venv/lib/python3.11/site-packages/pip installs packages",
        ),
        ("var/lib/dpkg/info/libssl-dev:amd64.list", "libssl-dev:amd64 is for building"),
        ("identity/tests/conftest.pyc", "/identity/tests is of no use there"),
        ("identity/.git/config", "/identity/.git is of no use there"),
        ("identity/app/new.py", "/identity/app/new.py is not compiled"),
    ],
)
def test_what_must_not_be_there_is_found(name: str, fault: str, root: Path) -> None:
    put(root, name)
    assert faults_of(root) == [fault]


def test_a_file_that_its_user_could_change_is_found(root: Path) -> None:
    (root / "identity/app/version.py").chmod(0o666)
    assert faults_of(root) == ["/identity/app/version.py can be changed by its user"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_its_users_is_found(root: Path) -> None:
    os.chown(root / "venv", 10001, 10001)
    assert faults_of(root) == ["/venv can be changed by its user"]
