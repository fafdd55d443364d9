"""The application as `/metrics` shows it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis
from starlette.testclient import TestClient

from app.ledger.engine import open_engine
from app.ledger.ledger import Ledger
from tests.web.metrics.scraping import client_of


@pytest.fixture
def client(environment: dict[str, str], redis: Redis) -> Iterator[TestClient]:
    """The application on a ledger of this test's own, and an empty Redis."""
    with client_of(environment) as client:
        yield client


@pytest.fixture
def ledger(database_url: str) -> Iterator[Ledger]:
    """The ledger that the application counts."""
    ledger = Ledger(open_engine(database_url))
    yield ledger
    ledger.close()
