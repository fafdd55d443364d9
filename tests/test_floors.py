"""The floors of the house (design, 4): imports point down only, the domain is pure, names say what.

Read from the source, not by importing, so that what is imported late or for typing counts too.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

DOMAIN = ("app.domain",)
GROUND = (*DOMAIN, "app.settings", "app.logs")
STORES = (
    "app.queue",
    "app.ledger",
    "app.stripe_api",
    "app.signatures",
    "app.notifications",
)
USE_CASES = (*GROUND, *STORES, "app.operations")

# What a module may import of this repository besides its own package. The longest prefix decides.
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "app": (),
    "app.domain": (),
    "app.settings": DOMAIN,
    "app.logs": DOMAIN,
    **dict.fromkeys(STORES, GROUND),
    "app.operations": (*GROUND, *STORES),
    "app.web": USE_CASES,
    "app.local": USE_CASES,
    "app.cli": (*USE_CASES, "app.local"),
    "app.__main__": ("app.cli", "app.logs"),
    "workers": (*USE_CASES, "workers.handlers"),
    "workers.handlers": (*GROUND, *STORES),
    "deploy": ("deploy.sandbox",),
    "deploy.sandbox": (),
}
PURE = ("app.domain", "workers.handlers")
ROOM = tuple(module for module in MAY_IMPORT if module != "app")  # `app` itself is only a roof

OURS = ("app", "workers", "deploy", "tests")
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


def floor(module: str, rooms: tuple[str, ...] = tuple(MAY_IMPORT)) -> str | None:
    """The longest of `rooms` that the module is in."""
    found = [room for room in rooms if module == room or module.startswith(f"{room}.")]
    return max(found, key=len, default=None)


def imports(tree: ast.AST, module: str, is_package: bool) -> Iterator[str]:
    """Every module, or name of a module, that the source imports anywhere."""
    package = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            up = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*up, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def allowed(module: str, imported: str) -> bool:
    """Whether `module` may import what is ours under the name `imported`."""
    here, there = floor(module), floor(imported)
    if here is None or there is None or imported.startswith("tests"):
        return False
    return here == there or there in MAY_IMPORT[here]


def faults(source: str, module: str, is_package: bool = False) -> list[str]:
    """What in the source is against the floors, one line for each."""
    tree = ast.parse(source)
    # A module that is on no floor belongs to none: give it one in MAY_IMPORT, or move it.
    found = [] if is_package or floor(module, ROOM) else [f"{module} is on no floor"]
    pure = floor(module, PURE) is not None
    for imported in imports(tree, module, is_package):
        top = imported.split(".")[0]
        if top in OURS:
            if not allowed(module, imported):
                found.append(f"{module} imports {imported}")
        elif pure and (top in IMPURE or top not in sys.stdlib_module_names):
            found.append(f"{module} is pure and imports {imported}")
    if pure:
        found += [
            f"{module} is pure and calls {node.func.id}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in IMPURE_CALLS
        ]
    return found + empty_names(tree, module)


def empty_names(tree: ast.AST, module: str) -> list[str]:
    """Modules and classes whose name says nothing."""
    names = module.split(".")
    names += [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    words = {name: re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name) for name in names}
    return [
        f"{module}: the name {name} says nothing"
        for name, parts in words.items()
        if EMPTY_WORDS & {part.lower() for part in parts}
    ]


def module_of(path: Path) -> tuple[str, bool]:
    parts = path.relative_to(ROOT).with_suffix("").parts
    is_package = parts[-1] == "__init__"
    return ".".join(parts[:-1] if is_package else parts), is_package


SOURCES = sorted(
    path for top in ("app", "workers", "deploy") for path in (ROOT / top).rglob("*.py")
)


def test_every_import_points_down_the_floors() -> None:
    assert len(SOURCES) > 5
    found = [
        fault for path in SOURCES for fault in faults(path.read_text("utf-8"), *module_of(path))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("app.domain.event", "import time"),
        ("app.domain.event", "from datetime import datetime"),
        ("app.domain.event", "import random as r"),
        ("app.domain.event", "def f():\n    import os.path"),
        ("app.domain.event", "from socket import socket"),
        ("app.domain.event", "import stripe"),
        ("app.domain.event", "from app.settings import Settings"),
        ("app.domain.event", "from .. import settings"),
        ("app.domain.event", "from ..logs import log"),
        ("app.domain.event", "open('x')"),
        ("app.domain.event", "if TYPE_CHECKING:\n    from app.queue import jobs"),
        ("app.settings", "from app.logs import log"),
        ("app.settings", "import app.queue.jobs"),
        ("app.logs", "from app.settings import Settings"),
        ("app.queue.jobs", "from app.ledger.tables import events"),
        ("app.queue.jobs", "from app import ledger"),
        ("app.queue.jobs", "from ..ledger import tables"),
        ("app.ledger.tables", "from app import signatures"),
        ("app.signatures", "from app.stripe_api import StripeApi"),
        ("app.stripe_api", "import app.notifications"),
        ("app.notifications", "from app.operations.replay import replay"),
        ("app.operations.replay", "from app.web.main import create_app"),
        ("app.operations.replay", "from app.cli import main"),
        ("app.operations.replay", "from workers import handlers"),
        ("app.web.main", "from app.cli.main import main"),
        ("app.web.main", "from app.local import valkey"),
        ("app.cli.main", "from app.web.main import create_app"),
        ("app.cli.main", "import workers.worker"),
        ("app.local.valkey", "from app.cli import main"),
        ("workers.handlers", "from app.operations.replay import replay"),
        ("workers.handlers", "from workers.jobs import process"),
        ("workers.handlers", "import time"),
        ("workers.jobs", "from app.web import main"),
        ("workers.jobs", "from app.cli import main"),
        ("workers.jobs", "from tests.domain import builders"),
        ("deploy.sandbox.state", "from app.domain import event"),
        ("deploy.sandbox.state", "import workers"),
        ("app.other", ""),
        ("app.queue.utils", ""),
        ("app.queue.helpers", ""),
        ("app.ledger.manager", ""),
        ("app.web.service.mail", ""),
        ("app.web.session_data", ""),
        ("app.web.info", ""),
        ("app.web.main", "class QueueManager: pass"),
        ("app.web.main", "class SessionInfo: pass"),
    ],
)
def test_what_is_against_the_floors_is_found(module: str, source: str) -> None:
    assert len(faults(source, module)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("app.domain.event", "import re\nfrom app.domain.errors import UnreadableEvent"),
        ("app.domain.event", "from . import errors\nfrom .session import merge"),
        ("app.settings", "import os\nfrom app.domain.errors import Misconfigured"),
        ("app.queue.jobs", "import time, redis\nfrom app import logs\nfrom app.queue import model"),
        ("app.ledger.migrations.env", "from app.ledger.tables import metadata"),
        ("app.operations.replay", "from app.queue import jobs\nfrom app.ledger import tables"),
        ("app.web.console.pages", "from app.operations import replay\nfrom app.web import main"),
        ("app.cli.main", "from app.local import valkey\nfrom app import operations, stripe_api"),
        ("app.__main__", "from app.cli.main import main"),
        ("workers.handlers", "from app.domain.effects import Notify"),
        ("workers.worker", "from workers import handlers, jobs\nfrom app.queue import jobs as j"),
        (
            "deploy.sandbox.state",
            "import time\nfrom deploy.sandbox import ids\nfrom . import clock",
        ),
        ("app.web.main", "class Metadata: pass\nclass Information: pass"),
    ],
)
def test_what_points_down_is_not_found(module: str, source: str) -> None:
    assert faults(source, module) == []
