"""A delivery and its way into the queue, as the web process records them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.trace import SpanKind, StatusCode
from redis import Redis
from starlette.testclient import TestClient

from app.configuration.settings import Settings
from app.local.valkey import Valkey, free_port
from app.telemetry.trace_ids import send_span_id_of
from app.web.main import create_app
from tests.support.events import SENSITIVE
from tests.telemetry.recording import Recording, context_of, linked, parent_of, told, trace_of
from tests.web.conftest import settings_of
from tests.web.deliveries import URL, event, signed

SERVER, SEND = "POST /webhooks/stripe", "send identity-events"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def client_of(recording: Recording, redis_url: str, database_url: str) -> TestClient:
    """An application whose spans are recorded."""
    settings = Settings.from_environment(settings_of(redis_url, database_url))
    return TestClient(create_app(settings, spans=recording.spans), raise_server_exceptions=False)


@pytest.fixture
def client(
    recording: Recording, valkey: Valkey, redis: Redis, database_url: str
) -> Iterator[TestClient]:
    with client_of(recording, valkey.url, database_url) as client:
        yield client


def deliver(client: TestClient, id: str = "evt_1", **headers: str) -> int:
    body = event(id, session="vs_1")
    return client.post(URL, content=body, headers={**signed(body), **headers}).status_code


def test_a_delivery_is_a_span_of_the_server_with_one_of_the_queue_in_it(
    client: TestClient, recording: Recording
) -> None:
    assert deliver(client) == 200
    server, send = recording.one(SERVER), recording.one(SEND)
    assert (server.kind, send.kind) == (SpanKind.SERVER, SpanKind.PRODUCER)
    assert parent_of(server) is None
    assert parent_of(send) == context_of(server).span_id
    assert dict(server.attributes or {}) == {
        "http.request.method": "POST",
        "http.route": URL,
        "http.response.status_code": 200,
        "identity.outcome": "enqueued",
    }
    assert dict(send.attributes or {}) == {
        "messaging.system": "rq",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": "identity-events",
        "messaging.message.id": "evt_1",
        "identity.kind": "created",
        "identity.session": "vs_1",
        "identity.outcome": "enqueued",
    }
    assert server.start_time is not None
    assert send.start_time is not None
    assert send.end_time is not None
    assert server.start_time <= send.start_time <= send.end_time == server.end_time


def test_the_trace_and_the_span_of_the_queue_follow_from_the_events_id(
    client: TestClient, recording: Recording
) -> None:
    deliver(client)
    assert {context_of(span).trace_id for span in recording.ended} == {trace_of("evt_1")}
    assert context_of(recording.one(SEND)).span_id == int(send_span_id_of("evt_1"), 16)


def test_a_second_delivery_joins_the_trace_and_links_to_the_first(
    client: TestClient, recording: Recording
) -> None:
    deliver(client)
    deliver(client)
    first, second = recording.named(SEND)
    assert told(second, "identity.outcome") == "duplicate"
    assert context_of(second).trace_id == context_of(first).trace_id
    assert context_of(second).span_id != context_of(first).span_id
    assert linked(second) == [context_of(first).span_id]


def test_a_trace_that_a_delivery_comes_with_is_linked(
    client: TestClient, recording: Recording
) -> None:
    deliver(client, traceparent=TRACEPARENT)
    server = recording.one(SERVER)
    assert context_of(server).trace_id == trace_of("evt_1")
    assert linked(server) == [0xB7AD6B7169203331]


@pytest.mark.parametrize("traceparent", ["", f"00-{SENSITIVE}-b7ad6b7169203331-01", "x" * 500])
def test_what_is_no_trace_is_not_linked(
    client: TestClient, recording: Recording, traceparent: str
) -> None:
    deliver(client, traceparent=traceparent, tracestate=f"vendor={SENSITIVE}")
    assert linked(recording.one(SERVER)) == []
    assert SENSITIVE not in recording.text


def test_nothing_is_recorded_of_what_is_refused_or_ignored(
    client: TestClient, recording: Recording
) -> None:
    body = event()
    assert client.post(URL, content=body).status_code == 400
    assert client.post(URL, content=body, headers=signed(body, "whsec_other")).status_code == 400
    other = event().replace(b"verification_session.created", b"verification_report.verified")
    assert client.post(URL, content=other, headers=signed(other)).status_code == 200
    assert recording.ended == []


def test_a_delivery_that_redis_does_not_take_has_failed(
    recording: Recording, database_url: str
) -> None:
    with client_of(recording, f"redis://127.0.0.1:{free_port()}", database_url) as client:
        assert deliver(client) == 503
    server, send = recording.one(SERVER), recording.one(SEND)
    for span in (server, send):
        assert span.status.status_code is StatusCode.ERROR
        assert told(span, "identity.outcome") == "not_taken"
        assert told(span, "error.type") == "QueueUnavailable"
    assert told(server, "http.response.status_code") == 503
    assert context_of(send).span_id != int(send_span_id_of("evt_1"), 16)


def test_a_span_holds_nothing_of_what_stripe_has_sent_but_ids(
    client: TestClient, recording: Recording
) -> None:
    deliver(client)
    assert SENSITIVE not in recording.text
    assert "user-1" not in recording.text
