"""What the operations work on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from app.cli.local.valkey import Valkey
from tests.operations.account import Account, opened_account
from tests.operations.letters import House, migrated_file, opened_house
from tests.sandbox.processes import Sandbox, running


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger without rows, to copy."""
    return migrated_file(tmp_path_factory.mktemp("operations"))


@pytest.fixture
def house(redis: Redis, valkey: Valkey, migrated: Path, tmp_path: Path) -> Iterator[House]:
    """An empty queue and an empty ledger."""
    with opened_house(valkey.url, migrated, tmp_path) as house:
        yield house


@pytest.fixture(scope="module")
def process() -> Iterator[Sandbox]:
    """A local Stripe, with all that its module's tests leave there."""
    with running("--seed", "21") as sandbox:
        yield sandbox


@pytest.fixture
def account(
    process: Sandbox, redis: Redis, valkey: Valkey, migrated: Path, tmp_path: Path
) -> Iterator[Account]:
    """A team's account at it, with an empty queue and an empty ledger."""
    with opened_account(process, valkey.url, migrated, tmp_path) as account:
        yield account
