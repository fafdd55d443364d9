"""docs/how-to/handlers.md: its changes, made to a copy of the code, pass its own tests."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT, blocks
from tests.support.shell import run

PAGE = DOCS / "how-to/handlers.md"
COPIED = ("app", "workers", "deploy", "tests", "pyproject.toml")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The code, where it may be changed."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy(ROOT / name, tmp_path)
    return tmp_path


@pytest.mark.slow
def test_the_example_is_applied_and_passes_its_tests(copy: Path) -> None:
    for change in blocks(PAGE, "diff"):
        subprocess.run(
            ["git", "apply", "--whitespace=error", "-"],
            input=change.text,
            text=True,
            cwd=copy,
            check=True,
        )
    written = [block for block in blocks(PAGE, "python") if block.title is not None]
    assert [block.title for block in written] == [
        "workers/reviews.py",
        "tests/workers/test_reviews.py",
    ]
    for block in written:
        assert block.title is not None
        (copy / block.title).write_text(block.text)
    (tests,) = blocks(PAGE, "sh")
    told = run(tests, {"PYTHONPATH": str(copy)}, copy).out
    assert " passed" in told
    assert "test_every_effect" not in told  # it is named if it fails
