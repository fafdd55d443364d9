"""How `dev` names itself and its folder: as a person can type it, from a clone and installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from app.cli import dev_text
from app.cli.dev_text import this_command, this_program, usual_folder
from app.local.stack import ROOT


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The program that an installation makes."""
    path = tmp_path / "a folder/identity"
    path.parent.mkdir()
    path.touch(0o755)
    return path


def test_the_installed_program_has_its_name_where_the_shell_finds_it(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [str(program)])
    monkeypatch.setenv("PATH", str(program.parent))
    assert this_program() == "identity"


def test_the_installed_program_has_its_path_where_the_shell_does_not_find_it(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [str(program)])
    monkeypatch.setenv("PATH", "/nowhere")
    assert this_program() == f"'{program}'"


def test_in_a_clone_it_is_python_and_the_data_is_in_the_clone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["app/__main__.py"])
    monkeypatch.chdir(tmp_path)
    assert this_program() == f"{sys.executable} -m app"
    assert usual_folder() == ROOT / ".data"


def test_installed_the_data_is_in_the_folder_we_are_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["app/__main__.py"])
    monkeypatch.setattr(dev_text, "in_clone", lambda: False)
    monkeypatch.chdir(tmp_path)
    assert usual_folder().resolve() == tmp_path / ".data"
    assert this_command(tmp_path / ".data") == f"{sys.executable} -m app dev"
    assert this_command(tmp_path).endswith(f"--folder {tmp_path}")
