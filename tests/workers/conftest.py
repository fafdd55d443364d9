"""What a worker's process works on: an empty ledger, an empty Redis, a clock of the test's own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from redis import Redis
from sqlalchemy import Engine
from starlette.datastructures import Secret

from app.cli.local.valkey import Valkey
from app.ledger import migrate
from app.ledger.engine import open_engine
from app.settings import Settings
from tests.workers.building import NOW
from workers.jobs import Context


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file, to copy."""
    path = tmp_path_factory.mktemp("workers") / "ledger.db"
    engine = open_engine(f"sqlite:///{path}")
    migrate.upgrade(engine)
    engine.dispose()
    return path


@pytest.fixture
def database_url(migrated: Path, tmp_path: Path) -> str:
    """A ledger without rows."""
    return f"sqlite:///{shutil.copy(migrated, tmp_path / 'ledger.db')}"


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def context(database_url: str, redis: Redis, valkey: Valkey) -> Iterator[Context]:
    """A context without Stripe, at a time that stands still."""
    settings = Settings(
        stripe_api_key=Secret("sk_test_123"),
        redis_url=Secret(valkey.url),
        database_url=Secret(database_url),
    )
    context = replace(Context.of(settings), stripe=None, now=lambda: NOW)
    yield context
    context.ledger.close()
    context.events.connection.close()
