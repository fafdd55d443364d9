"""Whether the process runs, and whether it should be sent deliveries."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from starlette.testclient import TestClient

from app.local.valkey import Valkey, free_port
from app.settings import Settings
from app.web.main import create_app


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and says nothing, as a database behind a lost network."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def client_of(environment: dict[str, str], **other: str) -> TestClient:
    return TestClient(create_app(Settings.from_environment(environment | other)))


def test_a_process_is_healthy_without_redis_and_ledger(environment: dict[str, str]) -> None:
    away = {
        "REDIS_URL": f"redis://127.0.0.1:{free_port()}",
        "DATABASE_URL": "sqlite:////no/such/folder/ledger.db",
    }
    with client_of(environment, **away) as client:
        answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_it_is_ready_if_both_stores_answer(client: TestClient) -> None:
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (
        200,
        {"status": "ready", "redis": "ok", "ledger": "ok"},
    )


def test_it_is_ready_while_the_ledger_is_away(
    environment: dict[str, str], redis: Redis, tmp_path: Path
) -> None:
    away = f"sqlite:///{tmp_path / 'no such folder' / 'ledger.db'}"
    with client_of(environment, DATABASE_URL=away) as client:
        answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ready"
    assert answer.json()["ledger"] != "ok"
    assert str(tmp_path) not in answer.text


def test_a_ledger_that_hangs_holds_no_probe_up(
    environment: dict[str, str], redis: Redis, silent_port: int
) -> None:
    hanging = f"postgresql://user:PLANTED@127.0.0.1:{silent_port}/identity"
    with client_of(environment, DATABASE_URL=hanging) as client:
        began = time.monotonic()
        answer = client.get("/readyz")
        took = time.monotonic() - began
    assert (answer.status_code, answer.json()["status"]) == (200, "ready")
    assert answer.json()["ledger"] != "ok"
    assert "PLANTED" not in answer.text
    assert took < 3  # the database's own limit is 5


def test_it_is_not_ready_without_redis_and_ready_again_with_it(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with (
        Valkey(tmp_path / "valkey", fsync="no") as own,
        client_of(environment, REDIS_URL=own.url) as client,
    ):
        assert client.get("/readyz").status_code == 200
        own.stop()
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json()["status"]) == (503, "not ready")
        assert answer.json()["ledger"] == "ok"
        assert str(own.port) not in answer.text
        own.start()
        assert client.get("/readyz").status_code == 200
