"""What the tests of the commands that ask Stripe work on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from app.cli.local.valkey import Valkey
from tests.cli.running import Run, runner
from tests.operations.account import KEY, Account, opened_account
from tests.operations.letters import migrated_file
from tests.sandbox.processes import Sandbox, running

__all__ = ["account", "environment", "migrated", "process", "run"]


@pytest.fixture(scope="module")
def process() -> Iterator[Sandbox]:
    with running("--seed", "31") as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger without rows, to copy."""
    return migrated_file(tmp_path_factory.mktemp("catching-up"))


@pytest.fixture
def account(
    process: Sandbox, redis: Redis, valkey: Valkey, migrated: Path, tmp_path: Path
) -> Iterator[Account]:
    with opened_account(process, valkey.url, migrated, tmp_path) as account:
        yield account


@pytest.fixture
def environment(account: Account, valkey: Valkey) -> dict[str, str]:
    """The settings that the commands read; a test may change them."""
    return {
        "STRIPE_API_KEY": KEY,
        "STRIPE_API_BASE": account.sandbox.url,
        "REDIS_URL": valkey.url,
        "DATABASE_URL": account.engine.url.render_as_string(hide_password=False),
    }


@pytest.fixture
def run(
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    return runner(environment, monkeypatch, capsys)
