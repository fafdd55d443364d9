"""A Redis that can never hold the queue: each process says so, in one line, and goes on waiting."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from app.doctor.runner import examine
from app.local.valkey import Valkey, free_port
from tests.faults.processes import end, start
from tests.servers.secured import codes
from tests.support.servers import DEBIAN, USUAL, Server
from tests.support.waiting import eventually
from tests.web import processes
from tests.web.deliveries import SECRET, URL, event, signed
from tests.web.processes import request

pytestmark = pytest.mark.slow

CLUSTER = (
    "Redis at 127.0.0.1:{port} is a cluster, over whose nodes the queue's keys would be spread"
)
TOO_OLD = "Redis at 127.0.0.1:{port} is too old for the queue's scripts"
# By code: the server, and what is said of it.
REFUSED = {
    "cluster": (USUAL, f"{CLUSTER} (CROSSSLOT)"),
    "too_old": ("redis-6.2", TOO_OLD),
}


def in_cluster_mode(folder: Path, name: str) -> Server:
    """A node, whose second port would else be 10,000 above the first, and so perhaps none."""
    return Server(folder, name, "--cluster-enabled", "yes", "--cluster-port", str(free_port()))


@pytest.fixture(scope="module", params=REFUSED)
def refused(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Valkey]]:
    """A server, and the code of what is wrong with it."""
    code, folder = request.param, tmp_path_factory.mktemp(request.param)
    name, _ = REFUSED[code]
    with in_cluster_mode(folder, name) if code == "cluster" else Server(folder, name) as server:
        if code == "cluster":
            with Redis(port=server.port) as admin:
                admin.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        yield code, server


@pytest.fixture
def environment(refused: tuple[str, Valkey], database_url: str) -> dict[str, str]:
    """The settings of a deployment on it."""
    return {
        "STRIPE_WEBHOOK_SECRET": SECRET,
        "DATABASE_URL": database_url,
        "REDIS_URL": refused[1].url,
        "DURABILITY": "memory",
    }


def lines(log: Path, event: str) -> list[dict[str, Any]]:
    """What a process has logged of this."""
    found = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return [line for line in found if line["event"] == event]


def message(refused: tuple[str, Valkey]) -> str:
    code, server = refused
    return REFUSED[code][1].format(port=server.port)


def test_web_says_so_once_when_it_starts_and_takes_no_delivery(
    refused: tuple[str, Valkey], environment: dict[str, str], tmp_path: Path
) -> None:
    with processes.running(tmp_path, **environment) as web:
        (line,) = eventually(lambda: lines(web.log, "Redis cannot hold the queue"))
        assert line["error"].startswith(message(refused))
        assert line["code"] == refused[0]
        body = event()
        answer = web.exchange(request("POST", URL, body, *signed(body).items()))
        assert answer.status == 503
        ready = web.exchange(request("GET", "/readyz"))
        assert (ready.status, json.loads(ready.body)["redis"]) == (503, refused[0])
        assert "Traceback" not in web.log.read_text()


def test_workers_say_so_once_and_wait(
    refused: tuple[str, Valkey], environment: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "workers.log"
    process = start("workers", log, environment)
    try:
        (line,) = eventually(lambda: lines(log, "waiting for Redis"))
        assert line["error"].startswith(message(refused))
        assert process.poll() is None
    finally:
        process.terminate()
        assert process.wait(30) == 0
        end(process)
    assert "child died" not in log.read_text()
    assert "Traceback" not in log.read_text()


def test_the_doctor_says_so(refused: tuple[str, Valkey], environment: dict[str, str]) -> None:
    found = {one.name: one for one in examine(environment)}["redis"]
    assert found.state == "wrong"
    assert found.message.startswith(message(refused).partition(" (")[0])
    assert found.hint


@pytest.mark.parametrize("database", [0, 1], ids=["without slots", "of another number"])
def test_a_node_that_can_do_nothing_yet_is_told_as_a_cluster_too(
    database: int, tmp_path: Path
) -> None:
    with in_cluster_mode(tmp_path, DEBIAN) as server:
        assert codes(f"redis://127.0.0.1:{server.port}/{database}") == ["cluster"] * 2
