"""The web application inside the test and in a process of its own, on real Redis and SQLite."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from starlette.testclient import TestClient

from app.configuration.settings import Settings
from app.local.valkey import Valkey
from app.web.main import create_app
from tests.web.deliveries import ROLLED, SECRET
from tests.web.processes import Web, running

TOKEN = "token-of-the-backend"
OTHER_TOKEN = "token-of-another-one"


def settings_of(redis_url: str, database_url: str) -> dict[str, str]:
    """The web process' environment."""
    return {
        "STRIPE_WEBHOOK_SECRET": f"{SECRET},{ROLLED}",
        "REDIS_URL": redis_url,
        "DURABILITY": "memory",  # the server of most tests never syncs
        "DATABASE_URL": database_url,
        "API_TOKENS": f"{TOKEN},{OTHER_TOKEN}",
        "REFERENCE_METADATA_KEYS": "user_id,userId",
    }


@pytest.fixture
def environment(valkey: Valkey, database_url: str) -> dict[str, str]:
    """The web process' environment, with a ledger of this test's own."""
    return settings_of(valkey.url, database_url)


@pytest.fixture(scope="module")
def application(
    valkey: Valkey, migrated: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient]:
    """The application for the tests of a file that look at nothing in the ledger.

    It ends with them: its lines about refusals, one a second, are in no later test's output.
    """
    ledger = shutil.copy(migrated, tmp_path_factory.mktemp("application") / "ledger.db")
    settings = Settings.from_environment(settings_of(valkey.url, f"sqlite:///{ledger}"))
    with TestClient(create_app(settings), follow_redirects=False) as client:
        yield client


@pytest.fixture
def client(application: TestClient, redis: Redis) -> TestClient:
    """The application with an empty Redis; its exceptions fail the test."""
    return application


@pytest.fixture(scope="session")
def process(
    valkey: Valkey, migrated: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Web]:
    """One process for all tests of this test process that need a socket."""
    folder = tmp_path_factory.mktemp("web")
    ledger = shutil.copy(migrated, folder / "ledger.db")
    with running(folder, **settings_of(valkey.url, f"sqlite:///{ledger}")) as web:
        yield web


@pytest.fixture
def web(process: Web, redis: Redis) -> Iterator[Web]:
    """That process with an empty Redis; after the test it has to be alive, without a fault."""
    yield process
    assert process.answers()
    assert "request failed" not in process.log.read_text()
    assert "Exception" not in process.log.read_text()
