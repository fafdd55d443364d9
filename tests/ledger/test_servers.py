"""The ledger's own tests, on each version of PostgreSQL that we take, and through a pooler."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.ledger.server import look_at
from tests.ledger.asking import engine_of
from tests.support.cli import ROOT
from tests.support.pgbouncer import MODE
from tests.support.postgres import INSTALLATION, postgres_server
from tests.support.postgres_versions import VERSIONS

pytestmark = pytest.mark.slow

# They execute every statement that the ledger has, look at its plan, lock, forget and migrate.
SUITE = (
    "tests/ledger/test_plans.py",
    "tests/ledger/test_apply.py",
    "tests/ledger/test_processes.py",
    "tests/ledger/test_retention.py",
    "tests/ledger/test_migrate.py",
)
# Events through web and workers. Behind a pooler, tests/e2e/test_poolers.py sends more of them.
WHOLE = "tests/e2e/test_way_of_an_event.py"
LASTS = 240  # seconds at most


def run_suite(folder: Path, *more: str, **environment: str) -> None:
    """Run the tests that use PostgreSQL; what they write is in the folder."""
    command = [sys.executable, "-m", "pytest", "-n0", "-k", "postgresql", "-p", "no:cacheprovider"]
    command += [f"--basetemp={folder / 'suite'}"]
    ran = subprocess.run(
        [*command, *SUITE, *more],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=LASTS,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-5000:]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_ledger_works_on(
    version: int, servers: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(INSTALLATION, str(servers[version]))
    with postgres_server() as server, engine_of(server.url()) as engine:
        assert str(look_at(engine)).startswith(f"PostgreSQL {version}.")
    run_suite(tmp_path, WHOLE)


def test_the_ledger_works_through_a_pooler_by_transaction(tmp_path: Path) -> None:
    run_suite(tmp_path, **{MODE: "transaction"})
