"""Deliveries beside a crowd of connections; `tests.benchmarks` measures how long they wait."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis import Redis

from tests.benchmarks import processes
from tests.support.waiting import eventually
from tests.web.deliveries import URL, event, signed
from tests.web.processes import request, running

IDLE, DRIPPING, DELIVERIES = 2_000, 200, 300


@pytest.mark.slow
def test_deliveries_are_served_beside_thousands_of_idle_and_hundreds_of_dripping_connections(
    environment: dict[str, str], redis: Redis, tmp_path: Path
) -> None:
    with running(tmp_path, **environment) as web:
        arguments = map(str, (web.port, IDLE, DRIPPING))
        command = processes.Command.python(
            "-m", "tests.benchmarks.crowd", *arguments, environment={}
        )
        log = tmp_path / "crowd.log"
        with processes.running(command, log) as crowd:
            eventually(lambda: "ready" in log.read_text(), 120, "the crowd")
            for number in range(DELIVERIES):
                body = event(f"evt_{number}")
                answer = web.exchange(request("POST", URL, body, *signed(body).items()))
                assert answer.status == 200
            assert crowd.alive()
    assert redis.llen("rq:queue:identity-events") == DELIVERIES
