"""What a well-formed delivery is answered, and what then lies in Redis."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from redis import Redis
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from app.configuration.settings import Settings
from app.queue.dead_letters import DeadLetters
from app.queue.model import EVENTS, decode, named
from app.queue.transitions import JobQueue
from app.web.main import create_app
from tests.support.events import METADATA, event_body, thin_body
from tests.support.places import queued as queued_ids
from tests.web.deliveries import ROLLED, SECRET, URL, event, header, signature, signed

NOW = 1_700_000_000


def deliver(client: TestClient, body: bytes, secret: str = SECRET) -> httpx2.Response:
    return client.post(URL, content=body, headers=signed(body, secret))


def queued(redis: Redis) -> list[dict[str, Any]]:
    """The payloads in the queue, in order."""
    jobs: list[Any] = [redis.hget(f"rq:job:{id}", "data") for id in queued_ids(redis)]
    return [named(EVENTS, decode(job).arguments[0]) for job in jobs]


def test_a_new_event_is_enqueued(client: TestClient, redis: Redis) -> None:
    answer = deliver(client, event())
    assert (answer.status_code, answer.json()) == (200, {"outcome": "enqueued"})
    assert [payload["id"] for payload in queued(redis)] == ["evt_1"]


def test_the_same_event_again_is_a_duplicate(client: TestClient, redis: Redis) -> None:
    deliver(client, event())
    answer = deliver(client, event())
    assert (answer.status_code, answer.json()) == (200, {"outcome": "duplicate"})
    assert len(queued(redis)) == 1


def test_a_resent_dead_letter_is_replayed(client: TestClient, redis: Redis) -> None:
    deliver(client, event())
    queue = JobQueue(redis, EVENTS)
    (claimed,) = queue.claim("token", 60, 1)
    queue.bury(claimed, "permanent_error", "ValueError", "broke")
    assert DeadLetters(redis, EVENTS).find("evt_1") is not None
    answer = deliver(client, event())
    assert (answer.status_code, answer.json()) == (200, {"outcome": "replayed"})
    assert DeadLetters(redis, EVENTS).find("evt_1") is None
    assert len(queued(redis)) == 1


@pytest.mark.parametrize(
    "name", ["created", "processing", "requires_input", "verified", "canceled", "redacted"]
)
def test_each_of_the_six_types_is_taken(client: TestClient, name: str) -> None:
    assert deliver(client, event(name=name)).json() == {"outcome": "enqueued"}


def test_a_thin_event_is_enqueued_once_under_its_own_id(client: TestClient, redis: Redis) -> None:
    body = json.dumps(thin_body()).encode()
    assert deliver(client, body).json() == {"outcome": "enqueued"}
    assert deliver(client, body).json() == {"outcome": "duplicate"}
    (payload,) = queued(redis)
    assert payload["id"] == "evt_test_65thin"
    assert (payload["name"], payload["session_id"]) == ("verified", "vs_1")
    assert (payload["account"], payload["livemode"]) == ("acct_1", False)


def test_a_type_of_identitys_that_is_not_known_is_said_once(client: TestClient) -> None:
    bodies = [
        event_body() | {"type": "identity.verification_session.invented"},
        event_body() | {"type": "account.updated"},
        thin_body("invented"),
    ]
    with capture_logs() as logs:
        for body in bodies * 2:
            assert deliver(client, json.dumps(body).encode()).json() == {"outcome": "ignored"}
    said = [line["type"] for line in logs if "are ignored" in line["event"]]
    invented = "identity.verification_session.invented"
    assert said == [invented, f"v1.{invented}"]


@pytest.mark.parametrize(
    "body",
    [
        event_body() | {"type": "account.updated"},
        event_body() | {"type": "identity.verification_report.verified"},
        event_body() | {"type": "identity.verification_session.invented"},
        event_body() | {"type": "identity.verification_session"},
        event_body() | {"type": ""},
        {"id": "evt_1", "object": "v2.core.event", "type": "v1.billing.meter.no_meter_found"},
        {"type": "v2.core.account.updated", "related_object": {"id": "acct_1"}},
    ],
    ids=lambda body: body["type"] or "empty",
)
def test_what_is_signed_and_not_ours_is_ignored(
    client: TestClient, redis: Redis, body: dict[str, Any]
) -> None:
    answer = deliver(client, json.dumps(body).encode())
    assert (answer.status_code, answer.json()) == (200, {"outcome": "ignored"})
    assert redis.keys("rq:*") == []


@pytest.mark.parametrize("secret", [SECRET, ROLLED])
def test_each_signing_secret_is_valid_while_one_is_rolled(client: TestClient, secret: str) -> None:
    assert deliver(client, event(), secret).json() == {"outcome": "enqueued"}


def test_one_of_several_signatures_is_enough(client: TestClient) -> None:
    body = event()
    told = f"{header(body, 'whsec_gone')},v1={signature(body)},v0=none"
    answer = client.post(URL, content=body, headers={"Stripe-Signature": told})
    assert answer.json() == {"outcome": "enqueued"}


def test_a_space_after_a_comma_is_no_fault(client: TestClient) -> None:
    body = event()
    told = header(body).replace(",", ", ")
    answer = client.post(URL, content=body, headers={"Stripe-Signature": told})
    assert answer.json() == {"outcome": "enqueued"}


@pytest.mark.parametrize(("age", "status"), [(300, 200), (301, 400), (-300, 200), (-301, 400)])
def test_the_tolerance_is_five_minutes_either_way(
    environment: dict[str, str], redis: Redis, age: int, status: int
) -> None:
    app = create_app(Settings.from_environment(environment), now=lambda: float(NOW))
    body = event()
    with TestClient(app) as client:
        answer = client.post(URL, content=body, headers=signed(body, at=NOW - age))
    assert answer.status_code == status


@pytest.mark.parametrize(
    "reference",
    ["a" * 5_000, "\N{GRINNING FACE}" * 5_000, "user/1?livemode=true#x", "line\nbreak"],
    ids=["long", "long and wide", "url", "line break"],
)
def test_a_reference_is_kept_whole(client: TestClient, redis: Redis, reference: str) -> None:
    assert deliver(client, event(reference=reference)).json() == {"outcome": "enqueued"}
    assert queued(redis)[0]["reference"] == reference


@pytest.mark.parametrize(
    "reference",
    [None, "", "a\0b", "\ud800", "a" * 5_001, 7, ["user-1"]],
    ids=["null", "empty", "NUL", "surrogate", "too long", "number", "list"],
)
def test_a_reference_that_can_name_nobody_makes_an_orphan(
    client: TestClient, redis: Redis, reference: object
) -> None:
    assert deliver(client, event(reference=reference)).json() == {"outcome": "enqueued"}
    assert queued(redis)[0]["reference"] is None


def test_the_reference_may_stand_in_metadata(client: TestClient, redis: Redis) -> None:
    metadata = {"userId": "second", "user_id": "first"}
    deliver(client, event(reference=None, metadata=metadata))
    deliver(client, event("evt_2", reference="own", metadata=metadata))
    deliver(client, event("evt_3", reference=None, metadata={"userId": "second"}))
    assert [payload["reference"] for payload in queued(redis)] == ["first", "own", "second"]


def test_an_event_as_large_as_stripe_can_send_it_is_taken(client: TestClient) -> None:
    wide = "\N{GRINNING FACE}"
    metadata = {f"{number:02}" + wide * 38: wide * 500 for number in range(47)}
    body = event(reference=wide * 5_000, metadata=metadata)
    assert len(METADATA | metadata) <= 50
    assert len(body) > 300_000
    assert deliver(client, body).json() == {"outcome": "enqueued"}


def test_of_a_key_given_twice_the_last_counts(client: TestClient, redis: Redis) -> None:
    body = b'{"id": "evt_first", ' + event("evt_last")[1:]
    assert deliver(client, body).json() == {"outcome": "enqueued"}
    assert queued(redis)[0]["id"] == "evt_last"


def test_an_event_of_a_connected_account_and_livemode_keep_both(
    client: TestClient, redis: Redis
) -> None:
    body = event_body(account="acct_1", livemode=True)
    deliver(client, json.dumps(body).encode())
    assert (queued(redis)[0]["account"], queued(redis)[0]["livemode"]) == ("acct_1", True)
