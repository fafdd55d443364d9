"""What a delivery is answered if the fault is ours, or the queue's."""

from __future__ import annotations

from typing import Any

import pytest
from redis import Redis
from starlette.testclient import TestClient

from app.configuration.settings import Settings
from app.domain.event import SessionEvent
from app.web.main import create_app
from tests.web.deliveries import URL, event, signed

BODY = event()


def test_a_job_that_redis_refuses_is_503_and_shows_nothing(
    environment: dict[str, str], redis: Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    redis.set("rq:job:evt_1", "planted: not a hash")
    with TestClient(create_app(Settings.from_environment(environment))) as client:
        answer = client.post(URL, content=BODY, headers=signed(BODY))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    assert "WRONGTYPE" not in answer.text
    log = capsys.readouterr().out
    assert "WRONGTYPE" in log
    assert "planted" not in log


def test_a_fault_of_ours_is_500_and_shows_nothing(
    environment: dict[str, str],
    redis: Redis,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(self: SessionEvent) -> list[Any]:
        raise RuntimeError("planted")

    monkeypatch.setattr(SessionEvent, "pack", fails)
    app = create_app(Settings.from_environment(environment))
    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.post(URL, content=BODY, headers=signed(BODY))
    assert answer.status_code == 500
    assert answer.json()["error"]["type"] == "api_error"
    assert "planted" not in answer.text
    assert "planted" not in capsys.readouterr().out
