"""Real parts for every test: one Valkey for each test process, emptied before each test."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from redis import Redis

from app.cli.local.valkey import Valkey
from app.queue.connection import open_redis

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
