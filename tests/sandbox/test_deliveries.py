"""Events and their deliveries, to a real receiver."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import stripe

from deploy.sandbox.events import TYPES
from tests.sandbox.processes import Receiver, Sandbox
from tests.support.waiting import eventually

# One sandbox for all of them: they belong on one worker.
SECOND = "whsec_second"


@pytest.fixture
def endpoint(sandbox: Sandbox, client: stripe.StripeClient, receiver: Receiver) -> Any:
    """An endpoint for our six types; tries follow each other quickly."""
    sandbox.control("POST", "/retries", {"initial": 0.05, "maximum": 0.1})
    endpoints: Any = client.v1.webhook_endpoints
    return endpoints.create({"url": receiver.url, "enabled_events": list(TYPES)})


def create(client: stripe.StripeClient) -> Any:
    return client.v1.identity.verification_sessions.create(
        {"type": "document", "provided_details": {"email": "a@example.com"}},
        {"idempotency_key": f"key {time.monotonic()}"},
    )


def names(events: list[Any]) -> list[str]:
    return [event["type"].rpartition(".")[2] for event in events]


def idle(sandbox: Sandbox) -> Any:
    """The counts, once nothing is pending any more."""
    return eventually(lambda: (d := sandbox.control("GET", "/deliveries"))["pending"] == 0 and d)


def test_a_life_is_delivered_in_order_signed_and_compact(
    sandbox: Sandbox, client: stripe.StripeClient, receiver: Receiver, endpoint: Any
) -> None:
    session = create(client)
    sandbox.submit(session.id, "document_expired")
    sandbox.submit(session.id, "verified")
    client.v1.identity.verification_sessions.redact(session.id)
    sandbox.control("POST", "/clock", {"advance": 4 * 24 * 3600 + 1})
    events = receiver.events(6)
    assert names(events) == [
        *("created", "processing", "requires_input", "processing", "verified", "redacted")
    ]
    for received in receiver.received:
        stripe.WebhookSignature.verify_header(
            received.body.decode(), received.signature, endpoint.secret, tolerance=300
        )
        assert received.body == json.dumps(received.event, separators=(",", ":")).encode()
    created, _, failed, _, verified, redacted = (event["data"]["object"] for event in events)
    assert (created["client_secret"], created["url"]) == (session.client_secret, session.url)
    assert failed["last_error"]["reason"]
    assert verified["verified_outputs"]["id_number"]
    assert redacted["provided_details"]["email"] == "[redacted]"


def test_an_event_has_stripes_shape_and_names_its_request(
    client: stripe.StripeClient, receiver: Receiver, endpoint: Any
) -> None:
    session = create(client)
    (event,) = receiver.events(1)
    assert set(event) == {
        *("id", "object", "api_version", "created", "data", "livemode", "pending_webhooks"),
        *("request", "type"),
    }
    assert (event["object"], event["livemode"], event["pending_webhooks"]) == ("event", False, 1)
    assert event["created"] == session.created
    assert event["request"]["id"] == session.last_response.request_id
    assert event["request"]["idempotency_key"].startswith("key ")
    eventually(lambda: client.v1.events.retrieve(event["id"]).pending_webhooks == 0)
    constructed = stripe.Webhook.construct_event(
        receiver.received[0].body, receiver.received[0].signature, endpoint.secret
    )
    assert constructed.type == "identity.verification_session.created"


def test_a_refused_delivery_is_tried_again_with_a_fresh_signature(
    sandbox: Sandbox, client: stripe.StripeClient, receiver: Receiver, endpoint: Any
) -> None:
    sandbox.control("POST", "/retries", {"initial": 1.1, "maximum": 1.1})
    before = sandbox.control("GET", "/deliveries")
    receiver.statuses[:] = [500]
    create(client)
    first, second = receiver.events(2)
    assert first["id"] == second["id"]
    signatures = [received.signature for received in receiver.received]
    assert signatures[0] != signatures[1]
    for received in receiver.received:
        timestamp = int(received.signature.partition(",")[0].removeprefix("t="))
        assert abs(timestamp - received.at) < 2
        stripe.WebhookSignature.verify_header(
            received.body.decode(), received.signature, endpoint.secret, tolerance=300
        )
    after = idle(sandbox)
    assert after["tries"] - before["tries"] == 2
    assert after["failed"] - before["failed"] == 1
    assert after["statuses"]["500"] == before["statuses"].get("500", 0) + 1


def test_a_receiver_that_is_down_gets_its_events_when_it_is_up(
    sandbox: Sandbox, client: stripe.StripeClient, receiver: Receiver, endpoint: Any
) -> None:
    client.v1.webhook_endpoints.update(endpoint.id, {"url": "http://127.0.0.1:9/closed"})
    failed = sandbox.control("GET", "/deliveries")["failed"]
    create(client)
    eventually(lambda: sandbox.control("GET", "/deliveries")["failed"] > failed)
    client.v1.webhook_endpoints.update(endpoint.id, {"url": receiver.url})
    assert names(receiver.events(1)) == ["created"]


def test_what_is_not_taken_in_time_is_given_up_and_found_by_delivery_success(
    sandbox: Sandbox, client: stripe.StripeClient, receiver: Receiver, endpoint: Any
) -> None:
    sandbox.control("POST", "/retries", {"give_up_after": 0.01})
    receiver.statuses[:] = [500]
    session = create(client)
    idle(sandbox)
    sandbox.control("POST", "/retries", {"give_up_after": 259200})
    assert len(receiver.received) == 1
    unsuccessful = client.v1.events.list({"delivery_success": False})
    assert session.id in {event.data.object["id"] for event in unsuccessful.data}


def test_a_rolled_secret_signs_next_to_the_old_one(
    sandbox: Sandbox, client: stripe.StripeClient, receiver: Receiver, endpoint: Any
) -> None:
    sandbox.control("POST", "/chaos", {"second_secret": SECOND})
    create(client)
    receiver.events(1)
    received = receiver.received[0]
    assert received.signature.count("v1=") == 2
    for secret in (endpoint.secret, SECOND):
        assert stripe.WebhookSignature.verify_header(
            received.body.decode(), received.signature, secret, tolerance=300
        )


def test_a_duplicate_is_delivered_two_or_three_times(
    sandbox: Sandbox, client: stripe.StripeClient, receiver: Receiver, endpoint: Any
) -> None:
    before = sandbox.control("GET", "/deliveries")["duplicates"]
    sandbox.control("POST", "/chaos", {"duplicate": 1, "seed": 1})
    create(client)
    after = idle(sandbox)
    assert len(receiver.received) in (2, 3)
    assert after["duplicates"] - before == len(receiver.received) - 1
    assert len({received.event["id"] for received in receiver.received}) == 1


def test_a_dropped_event_is_never_delivered_but_can_be_listed_and_resent(
    sandbox: Sandbox, client: stripe.StripeClient, receiver: Receiver, endpoint: Any
) -> None:
    before = sandbox.control("GET", "/deliveries")["dropped"]
    sandbox.control("POST", "/chaos", {"drop": 1})
    session = create(client)
    assert idle(sandbox)["dropped"] == before + 1
    assert receiver.received == []
    event = client.v1.events.list({"limit": 1}).data[0]
    assert event.data.object["id"] == session.id
    assert sandbox.control("POST", f"/events/{event.id}/resend")["copies"] == 1
    assert receiver.events(1)[0]["id"] == event.id


def test_a_delayed_event_is_overtaken_by_others(
    sandbox: Sandbox, client: stripe.StripeClient, receiver: Receiver, endpoint: Any
) -> None:
    sandbox.control("POST", "/chaos", {"delay": [1.5, 2]})
    first = create(client)
    sandbox.control("POST", "/chaos", {"delay": 0})
    second = create(client)
    delivered = [event["data"]["object"]["id"] for event in receiver.events(2)]
    assert delivered == [second.id, first.id]


def test_events_made_while_webhooks_are_off_are_never_delivered(
    sandbox: Sandbox, client: stripe.StripeClient, receiver: Receiver, endpoint: Any
) -> None:
    sandbox.control("POST", "/webhooks", {"enabled": False})
    create(client)
    sandbox.control("POST", "/webhooks", {"enabled": True})
    after = create(client)
    assert receiver.events(1)[0]["data"]["object"]["id"] == after.id
    idle(sandbox)
    assert len(receiver.received) == 1


def test_a_star_endpoint_is_not_sent_redacted(
    sandbox: Sandbox, client: stripe.StripeClient, receiver: Receiver
) -> None:
    endpoint = client.v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]})
    sandbox.control("POST", "/redaction", {"seconds": 0})
    session = create(client)
    client.v1.identity.verification_sessions.redact(session.id)
    eventually(lambda: sandbox.truth(session.id)["redaction"] == "redacted")
    assert names(receiver.events(2)) == ["created", "canceled"]
    by_name: Any = {"enabled_events": ["identity.verification_session.redacted"]}
    client.v1.webhook_endpoints.update(endpoint.id, by_name)
    other = create(client)
    client.v1.identity.verification_sessions.redact(other.id)
    assert names(receiver.events(3))[2] == "redacted"
    idle(sandbox)
    assert len(receiver.received) == 3


def test_an_endpoint_shows_its_secret_only_at_creation(
    client: stripe.StripeClient, receiver: Receiver
) -> None:
    endpoints = client.v1.webhook_endpoints
    created = endpoints.create(
        {
            "url": receiver.url,
            "enabled_events": ["*"],
            "description": "ours",
            "metadata": {"a": "1"},
            "api_version": "2025-01-27.acacia",
        }
    )
    assert created.secret is not None
    assert created.secret.startswith("whsec_")
    assert created.status == "enabled"
    retrieved = endpoints.retrieve(created.id)
    assert "secret" not in retrieved
    assert (retrieved.description, retrieved.api_version) == ("ours", "2025-01-27.acacia")
    updated = endpoints.update(created.id, {"disabled": True, "description": ""})
    assert (updated.status, updated.description) == ("disabled", None)
    assert [each.id for each in endpoints.list().data] == [created.id]
    assert endpoints.delete(created.id).deleted is True
    assert endpoints.list().data == []


def test_events_are_listed_newest_first_and_filtered_by_type(
    sandbox: Sandbox, client: stripe.StripeClient
) -> None:
    session = create(client)
    sandbox.submit(session.id, "verified")

    events: Any = client.v1.events

    def listed(**filters: Any) -> list[str]:
        page = events.list({"limit": 3, **filters})
        return [event.type.rpartition(".")[2] for event in page.data]

    assert listed() == ["verified", "processing", "created"]
    assert set(listed(type="identity.verification_session.verified")) == {"verified"}
    assert listed(type="identity.*") == ["verified", "processing", "created"]
    assert listed(type="charge.*") == []
    both = [f"identity.verification_session.{name}" for name in ("created", "processing")]
    assert listed(types=both)[:2] == ["processing", "created"]
    assert listed(created={"gt": int(time.time()) + 10**7}) == []
    everything = [event.id for event in client.v1.events.list({"limit": 2}).auto_paging_iter()]
    assert len(everything) == len(set(everything)) >= 3


def test_outcomes_are_counted_from_the_receivers_answers(
    sandbox: Sandbox, client: stripe.StripeClient, receiver: Receiver, endpoint: Any
) -> None:
    before = sandbox.control("GET", "/deliveries")["outcomes"].get("enqueued", 0)
    create(client)
    assert idle(sandbox)["outcomes"]["enqueued"] == before + 1


def test_many_events_are_all_delivered_and_each_session_stays_in_order(
    sandbox: Sandbox, client: stripe.StripeClient, receiver: Receiver, endpoint: Any
) -> None:
    made = [create(client).id for _ in range(60)]
    for session in made:
        sandbox.submit(session, "verified")
    events = receiver.events(180)
    for session in made:
        own = [event for event in events if event["data"]["object"]["id"] == session]
        assert names(own) == ["created", "processing", "verified"]
