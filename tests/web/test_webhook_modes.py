"""A signing secret that is bound to a mode, and events of another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from redis import Redis
from starlette.testclient import TestClient

from app.configuration.settings import Settings
from app.web.main import create_app
from app.web.refusals import KEY
from tests.support.events import event_body, thin_body
from tests.support.waiting import eventually
from tests.web.deliveries import URL, signed

TEST, LIVE, EITHER = "whsec_test", "whsec_live", "whsec_either"


@pytest.fixture
def client(environment: dict[str, str], redis: Redis) -> Iterator[TestClient]:
    """An application with a secret for each mode, and one for both."""
    secrets = {"STRIPE_WEBHOOK_SECRET": f"test:{TEST},live:{LIVE},{EITHER}"}
    with TestClient(create_app(Settings.from_environment(environment | secrets))) as client:
        yield client


def deliver(client: TestClient, event: dict[str, Any], secret: str) -> httpx2.Response:
    body = json.dumps(event).encode()
    return client.post(URL, content=body, headers=signed(body, secret))


@pytest.mark.parametrize(
    ("secret", "livemode"), [(TEST, False), (LIVE, True), (EITHER, False), (EITHER, True)]
)
@pytest.mark.parametrize("form", [event_body, thin_body])
def test_an_event_of_its_secrets_mode_is_taken(
    client: TestClient, form: Any, secret: str, livemode: bool
) -> None:
    assert deliver(client, form(livemode=livemode), secret).json() == {"outcome": "enqueued"}


@pytest.mark.parametrize(("secret", "livemode"), [(TEST, True), (LIVE, False)])
@pytest.mark.parametrize("form", [event_body, thin_body])
def test_an_event_of_another_mode_than_its_secret_is_refused(
    client: TestClient, redis: Redis, form: Any, secret: str, livemode: bool
) -> None:
    answer = deliver(client, form(livemode=livemode), secret)
    assert answer.status_code == 400
    message = answer.json()["error"]["message"]
    assert message == "the event is of another mode than its signing secret"
    assert redis.keys("rq:*") == []


@pytest.mark.parametrize("secret", [LIVE, EITHER])
def test_a_session_of_another_mode_than_its_event_is_refused(
    client: TestClient, redis: Redis, secret: str
) -> None:
    event = event_body("verified", "verified") | {"livemode": True}
    answer = deliver(client, event, secret)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "the event and its session name two modes"
    assert redis.keys("rq:*") == []


def test_a_session_that_names_no_mode_is_of_its_events(client: TestClient) -> None:
    event = event_body()
    del event["data"]["object"]["livemode"]
    assert deliver(client, event, TEST).json() == {"outcome": "enqueued"}


def test_refused_modes_are_counted(client: TestClient, redis: Redis) -> None:
    for _ in range(2):
        deliver(client, event_body(livemode=True), TEST)
    eventually(lambda: redis.hgetall(KEY) == {b"mode": b"2"})
