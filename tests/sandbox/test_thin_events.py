"""Thin events and event destinations, through the official client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import stripe
from stripe.events import (
    V1IdentityVerificationSessionCreatedEvent,
    V1IdentityVerificationSessionCreatedEventNotification,
)
from stripe.v2.core import EventDestination

from tests.sandbox.processes import Receiver, Sandbox, receiving
from tests.sandbox.stripe_types import breaches
from tests.support.waiting import eventually

Add = Callable[..., Any]


@pytest.fixture
def thin(sandbox: Sandbox) -> Iterator[tuple[Receiver, Add]]:
    """A receiver, and how to add a destination that sends it thin events."""
    added = []
    with receiving() as receiver:

        def add(**fields: Any) -> Any:
            body = {"url": receiver.url, "event_payload": "thin", **fields}
            added.append(sandbox.control("POST", "/event_destinations", body))
            return added[-1]

        yield receiver, add
    for each in added:
        sandbox.control("DELETE", f"/event_destinations/{each['id']}")


def parsed(client: stripe.StripeClient, receiver: Receiver, secret: str) -> Any:
    """The first event that came, as the package reads it."""
    receiver.events(1)
    first = receiver.received[0]
    return client.parse_event_notification(first.body, first.signature, secret)


def test_a_thin_event_names_the_session_and_shows_nothing_of_it(
    client: stripe.StripeClient, thin: tuple[Receiver, Add]
) -> None:
    receiver, add = thin
    secret = add()["secret"]
    sessions = client.v1.identity.verification_sessions
    session = sessions.create({"type": "document", "client_reference_id": "CANARY"})
    notification = parsed(client, receiver, secret)
    assert isinstance(notification, V1IdentityVerificationSessionCreatedEventNotification)
    assert (notification.related_object.id, notification.livemode) == (session.id, False)
    assert notification.context is None
    assert notification.created.endswith("Z")
    assert b"CANARY" not in receiver.received[0].body
    assert notification.fetch_related_object().client_reference_id == "CANARY"
    event = notification.fetch_event()
    assert list(breaches(event.to_dict(), V1IdentityVerificationSessionCreatedEvent)) == []
    snapshot = client.v1.events.retrieve(str(event.snapshot_event))
    assert snapshot.data.object["id"] == session.id


def test_a_thin_event_of_a_connected_account_says_where_to_ask(
    client: stripe.StripeClient, thin: tuple[Receiver, Add]
) -> None:
    receiver, add = thin
    secret = add(events_from=["@accounts"])["secret"]
    sessions = client.v1.identity.verification_sessions
    theirs: Any = {"stripe_account": "acct_thin"}
    sessions.create({"type": "document"})
    session = sessions.create({"type": "document"}, theirs)
    notification = parsed(client, receiver, secret)
    assert str(notification.context) == "acct_thin"
    assert notification.fetch_related_object().id == session.id
    assert notification.fetch_event().id == notification.id


def test_a_destination_for_thin_events_receives_what_it_enables(
    sandbox: Sandbox, client: stripe.StripeClient, thin: tuple[Receiver, Add]
) -> None:
    receiver, add = thin
    add(enabled_events=["v1.identity.verification_session.verified"])
    session = client.v1.identity.verification_sessions.create({"type": "document"})
    sandbox.submit(session.id, "verified")
    eventually(lambda: sandbox.control("GET", "/deliveries")["pending"] == 0)
    assert [each.event["type"] for each in receiver.received] == [
        "v1.identity.verification_session.verified"
    ]
    assert "reason" not in receiver.received[0].event  # no request of the team's caused it


def test_an_unknown_event_of_api_v2_is_404(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="No such event"):
        client.v2.core.events.retrieve("evt_test_65unknown")
    client.v1.identity.verification_sessions.create({"type": "document"})
    snapshot = client.v1.events.list().data[0]
    with pytest.raises(stripe.InvalidRequestError, match="No such event"):
        client.v2.core.events.retrieve(snapshot.id)


def test_destinations_are_listed_without_their_address_unless_it_is_asked_for(
    client: stripe.StripeClient, thin: tuple[Receiver, Add]
) -> None:
    receiver, add = thin
    endpoint = client.v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]})
    ids = [add()["id"], add(event_payload="snapshot", description="All of it")["id"]]
    destinations = client.v2.core.event_destinations
    listed = destinations.list().data
    assert [(each.id, each.event_payload) for each in listed] == [
        (ids[0], "thin"),
        (ids[1], "snapshot"),
    ]
    assert [
        breach for each in listed for breach in breaches(each.to_dict(), EventDestination)
    ] == []
    assert receiver.url not in str(listed)
    (shown, _) = destinations.list({"include": ["webhook_endpoint.url"]}).data
    assert shown.webhook_endpoint is not None
    assert shown.webhook_endpoint.url == receiver.url
    assert destinations.retrieve(ids[1]).name == "All of it"
    assert [each.id for each in client.v1.webhook_endpoints.list().data] == [endpoint.id]
    client.v1.webhook_endpoints.delete(endpoint.id)
