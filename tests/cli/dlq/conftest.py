"""`identity dlq` on an empty queue and an empty ledger."""

from __future__ import annotations

from functools import partial

import pytest

from app.cli import dlq_replay
from app.local.valkey import Valkey
from app.operations.dlq.replay import Replay
from tests.support.cli import Run
from tests.support.deployment import Deployment


@pytest.fixture
def environment(deployment: Deployment, valkey: Valkey) -> dict[str, str]:
    """The settings that the commands read; a test may change them."""
    return {"REDIS_URL": valkey.url, "DATABASE_URL": deployment.database_url}


@pytest.fixture
def run(run: Run) -> Run:
    """Runs `identity dlq` with these settings."""
    return partial(run, "dlq")


@pytest.fixture
def working(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """A deployment whose worker works while a replay waits for it."""
    worker = deployment.worker()

    def work(seconds: float) -> None:
        worker.run_once()

    monkeypatch.setattr(dlq_replay, "Replay", partial(Replay, sleep=work))
    return deployment
