"""What the operations work on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from app.cli.local.valkey import Valkey
from tests.operations.letters import House, migrated_file, opened_house


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger without rows, to copy."""
    return migrated_file(tmp_path_factory.mktemp("operations"))


@pytest.fixture
def house(redis: Redis, valkey: Valkey, migrated: Path, tmp_path: Path) -> Iterator[House]:
    """An empty queue and an empty ledger."""
    with opened_house(valkey.url, migrated, tmp_path) as house:
        yield house
