"""Real parts for every test: one Valkey for each test process, emptied before each test."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from app.local.valkey import Valkey
from app.queue.connection import open_redis
from tests.sandbox.processes import Sandbox, running
from tests.support.account import Account, opened_account
from tests.support.deployment import Deployment, opened_deployment
from tests.support.pgbouncer import MODE, pooled
from tests.support.postgres import Postgres, postgres_server
from tests.support.stores import migrated_file

# Tests press Ctrl-C. A script that runs them in the background has it ignored, and what it starts
# inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A running server of this test process' own."""
    with Valkey(tmp_path_factory.mktemp("valkey"), fsync="no") as server:
        yield server


@pytest.fixture
def redis(valkey: Valkey) -> Iterator[Redis]:
    """A client of an empty server."""
    with open_redis(valkey.url) as client:
        client.flushall()
        yield client


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server of this test process' own; behind a pooler, if one is asked for."""
    mode = os.environ.get(MODE)
    with postgres_server() as server:
        if not mode:
            yield server
            return
        with pooled(server, mode) as through:
            yield through


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file without rows, to copy."""
    return migrated_file(tmp_path_factory.mktemp("migrated"))


@pytest.fixture
def database_url(migrated: Path, tmp_path: Path) -> str:
    """The URL of a migrated ledger without rows, this test's own."""
    return f"sqlite:///{shutil.copy(migrated, tmp_path / 'ledger.db')}"


@pytest.fixture
def deployment(redis: Redis, valkey: Valkey, database_url: str) -> Iterator[Deployment]:
    """An empty queue and an empty ledger."""
    with opened_deployment(valkey.url, database_url) as deployment:
        yield deployment


@pytest.fixture(scope="module")
def stripe_process() -> Iterator[Sandbox]:
    """A local Stripe, with all that its module's tests leave there."""
    with running("--seed", "21") as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(stripe_process: Sandbox) -> Iterator[Sandbox]:
    """A Stripe that has no faults until the test asks for one."""
    yield stripe_process
    stripe_process.control("DELETE", "/faults")


@pytest.fixture
def account(
    stripe_process: Sandbox, redis: Redis, valkey: Valkey, database_url: str
) -> Iterator[Account]:
    """A team's account at it, with an empty queue and an empty ledger."""
    with opened_account(stripe_process, valkey.url, database_url) as account:
        yield account
