"""The house (ARCHITECTURE.md): its floors, its pure ground floor, its names, its file sizes.

Read from the source, not by importing, so that what is imported late or for typing counts too.
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from app.queue.model import EFFECTS, EVENTS, QueueSpec

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("app", "workers", "deploy")
LINT_IMPORTS = Path(sys.executable).parent / "lint-imports"

# Clocks, chance, and the ways out of the process.
IMPURE = {
    "asyncio", "atexit", "concurrent", "ctypes", "datetime", "dbm", "fcntl", "ftplib", "glob",
    "http", "importlib", "io", "logging", "mmap", "multiprocessing", "os", "pathlib", "posix",
    "pty", "random", "runpy", "secrets", "select", "selectors", "shutil", "signal", "smtplib",
    "socket", "sqlite3", "ssl", "subprocess", "sys", "tempfile", "threading", "time", "urllib",
    "uuid",
}  # fmt: skip
IMPURE_CALLS = {"open", "print", "input", "exec", "eval", "__import__"}
EMPTY_WORDS = {
    word + plural
    for word in ("util", "helper", "manager", "service", "data", "info")
    for plural in ("", "s")
}
MAX_LINES, MAX_TEST_LINES = 300, 400


# --- floors -----------------------------------------------------------------------------------


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Hold the contracts of pyproject.toml against the packages in `folder`."""
    return subprocess.run(
        [LINT_IMPORTS, "--no-cache", "--no-logo"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The sources, to plant a fault in."""
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_every_import_points_down_the_floors_and_none_makes_a_circle() -> None:
    found = lint_imports(ROOT)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize(
    ("file", "planted"),
    [
        ("app/domain/event.py", "from app.configuration.settings import Settings"),
        ("app/queue/model.py", "from app.ledger.tables import events"),
        ("app/web/main.py", "if TYPE_CHECKING:\n    from app.cli.main import main"),
        ("app/operations/sweep.py", "def late():\n    from workers.jobs import call"),
        ("workers/jobs.py", "import app.cli.main"),
        ("deploy/sandbox/state.py", "from app.domain import event"),
        ("app/domain/standing.py", "from app.domain.reconcile import reconcile"),
        ("app/newroom/thing.py", "x = 1"),
    ],
)
def test_an_import_against_the_floors_is_found(copy: Path, file: str, planted: str) -> None:
    path = copy / file
    path.parent.mkdir(exist_ok=True)
    (path.parent / "__init__.py").touch()
    with path.open("a") as source:
        source.write(f"\n{planted}\n")
    found = lint_imports(copy)
    assert found.returncode == 1, found.stdout


# --- the pure ground floor ----------------------------------------------------------------------


def imported_modules(tree: ast.AST) -> Iterator[str]:
    """The top of every module that the source imports anywhere."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").split(".")[0]


def impurities(source: str) -> list[str]:
    """What in the source reaches out of the process, or is not the standard library's."""
    tree = ast.parse(source)
    found = [
        f"imports {top}"
        for top in imported_modules(tree)
        if top != "app" and (top in IMPURE or top not in sys.stdlib_module_names)
    ]
    return found + [
        f"calls {node.func.id}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in IMPURE_CALLS
    ]


DOMAIN = sorted((ROOT / "app/domain").rglob("*.py"))


@pytest.mark.parametrize("path", DOMAIN, ids=lambda path: path.name)
def test_the_domain_is_pure(path: Path) -> None:
    assert impurities(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from datetime import datetime",
        "import random as r",
        "def f():\n    import os.path",
        "from socket import socket",
        "import stripe",
        "open('x')",
        "if TYPE_CHECKING:\n    from redis import Redis",
    ],
)
def test_what_is_impure_is_found(source: str) -> None:
    assert len(impurities(source)) == 1


# --- names and sizes ----------------------------------------------------------------------------


def empty_names(source: str, module: str) -> list[str]:
    """Modules and classes whose name says nothing."""
    names = module.split(".")
    names += [node.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)]
    words = {name: re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name) for name in names}
    return [name for name, parts in words.items() if EMPTY_WORDS & {p.lower() for p in parts}]


SOURCES = sorted(path for top in PACKAGES for path in (ROOT / top).rglob("*.py"))


def test_every_name_says_something() -> None:
    assert len(SOURCES) > 100
    assert [
        (path.name, found)
        for path in SOURCES
        if (
            found := empty_names(
                path.read_text("utf-8"), ".".join(path.relative_to(ROOT).with_suffix("").parts)
            )
        )
    ] == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("app.queue.utils", ""),
        ("app.ledger.manager", ""),
        ("app.web.session_data", ""),
        ("app.web.main", "class QueueManager: pass"),
        ("app.web.main", "class SessionInfo: pass"),
    ],
)
def test_a_name_that_says_nothing_is_found(module: str, source: str) -> None:
    assert len(empty_names(source, module)) == 1


def test_a_name_may_hold_such_a_word_within_another() -> None:
    assert empty_names("class Metadata: pass\nclass Information: pass", "app.web.main") == []


def test_no_file_is_too_long_to_read_in_one_go() -> None:
    limits = [(path, MAX_LINES) for path in SOURCES]
    limits += [(path, MAX_TEST_LINES) for path in (ROOT / "tests").rglob("*.py")]
    assert [
        str(path.relative_to(ROOT))
        for path, limit in limits
        if len(path.read_text("utf-8").splitlines()) > limit
    ] == []


# --- the one name across the floors -------------------------------------------------------------


@pytest.mark.parametrize("spec", [EVENTS, EFFECTS], ids=lambda spec: spec.name)
def test_the_function_that_a_queue_names_exists(spec: QueueSpec) -> None:
    module, _, name = spec.function.rpartition(".")
    assert callable(getattr(import_module(module), name))
