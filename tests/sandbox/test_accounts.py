"""Accounts are apart: connected ones, those of an organization, and another team's."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.sandbox.processes import Receiver, Sandbox, receiving
from tests.support.waiting import eventually

OWN = "acct_1SandboxIdentity0"


@pytest.fixture
def connected(request: pytest.FixtureRequest) -> str:
    """A connected account of this test's own."""
    return f"acct_{request.node.name.replace('_', '')[:60]}"


def acting(account: str) -> Any:
    return {"stripe_account": account}


def create(client: stripe.StripeClient, options: Any = None, **params: Any) -> Any:
    params = {"type": "document", **params}
    return client.v1.identity.verification_sessions.create(params, options)  # type: ignore[arg-type]  # a test's own parameters


def destination(sandbox: Sandbox, url: str, **fields: Any) -> Any:
    return sandbox.control("POST", "/event_destinations", {"url": url, **fields})


def test_a_session_of_one_account_is_not_there_in_another(
    client: stripe.StripeClient, connected: str
) -> None:
    sessions = client.v1.identity.verification_sessions
    theirs, ours = create(client, acting(connected)), create(client)
    with pytest.raises(stripe.InvalidRequestError, match="No such verificationsession"):
        sessions.retrieve(theirs.id)
    with pytest.raises(stripe.InvalidRequestError, match="No such verificationsession"):
        sessions.retrieve(ours.id, options=acting(connected))
    assert sessions.retrieve(theirs.id, options=acting(connected)).id == theirs.id
    listed = sessions.list({"limit": 100}, acting(connected)).data
    assert [session.id for session in listed] == [theirs.id]
    assert theirs.id not in [session.id for session in sessions.list({"limit": 100}).data]


def test_events_and_reports_of_one_account_are_not_there_in_another(
    sandbox: Sandbox, client: stripe.StripeClient, connected: str
) -> None:
    session = create(client, acting(connected))
    sandbox.submit(session.id, "verified")
    report = sandbox.client().v1.identity.verification_sessions.retrieve(
        session.id, options=acting(connected)
    )
    reports = client.v1.identity.verification_reports
    assert reports.retrieve(report.last_verification_report, options=acting(connected))  # type: ignore[arg-type]  # not expanded
    with pytest.raises(stripe.InvalidRequestError, match="No such verificationreport"):
        reports.retrieve(report.last_verification_report)  # type: ignore[arg-type]  # not expanded
    listed = client.v1.events.list({"limit": 100}, acting(connected)).data
    assert [event.type.rpartition(".")[2] for event in listed] == [
        *("verified", "processing", "created")
    ]
    own = client.v1.events.list({"limit": 100}).data
    assert session.id not in [event.data.object["id"] for event in own]


def test_the_same_idempotency_key_is_another_in_another_account(
    client: stripe.StripeClient, connected: str
) -> None:
    ours = create(client, {"idempotency_key": connected})
    theirs = create(client, {"idempotency_key": connected, **acting(connected)})
    again = create(client, {"idempotency_key": connected, **acting(connected)})
    assert (theirs.id == ours.id, again.id == theirs.id) == (False, True)
    assert again.last_response.headers["idempotent-replayed"] == "true"


@pytest.mark.parametrize(
    ("key", "account"),
    [
        ("sk_test_any", OWN),
        ("sk_live_any", OWN),
        ("sk_test_acct_other", "acct_other"),
        ("sk_live_acct_other_2", "acct_other"),
    ],
)
def test_a_key_belongs_to_an_account(sandbox: Sandbox, key: str, account: str) -> None:
    assert sandbox.client(key).v1.accounts.retrieve_current().id == account


def test_a_restricted_key_may_not_read_its_account_and_is_told_which_it_is(
    sandbox: Sandbox,
) -> None:
    with pytest.raises(stripe.PermissionError, match="on account 'acct_other'"):
        sandbox.client("rk_live_acct_other").v1.accounts.retrieve_current()


def test_another_teams_key_knows_nothing_of_ours(
    sandbox: Sandbox, client: stripe.StripeClient
) -> None:
    session = create(client)
    theirs = sandbox.client("sk_test_acct_elsewhere").v1.identity.verification_sessions
    with pytest.raises(stripe.InvalidRequestError, match="No such verificationsession"):
        theirs.retrieve(session.id)
    assert theirs.list({"client_reference_id": "nobody"}).data == []


def test_an_account_that_is_connected_to_another_platform_is_refused(
    sandbox: Sandbox, client: stripe.StripeClient, connected: str
) -> None:
    create(client, acting(connected))
    with pytest.raises(stripe.PermissionError, match="does not have access") as refused:
        create(sandbox.client("sk_test_acct_elsewhere"), acting(connected))
    assert "account_invalid" in str(refused.value.http_body)
    sandbox.control("POST", f"/accounts/{connected}", {"platform": None})
    with pytest.raises(stripe.PermissionError):
        create(client, acting(connected))


def test_what_is_no_account_is_refused(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="acct_"):
        create(client, acting("nobody"))


def test_an_event_of_a_connected_account_says_so(
    sandbox: Sandbox, client: stripe.StripeClient, receiver: Receiver, connected: str
) -> None:
    endpoints = client.v1.webhook_endpoints
    endpoints.create({"url": receiver.url, "enabled_events": ["*"], "connect": True})
    create(client)
    session = create(client, acting(connected))
    (event,) = receiver.events(1)
    assert (event["account"], event["context"]) == (connected, connected)
    assert event["data"]["object"]["id"] == session.id
    eventually(lambda: sandbox.control("GET", "/deliveries")["pending"] == 0)
    assert len(receiver.received) == 1  # the platform's own is not sent there


def test_an_event_of_the_endpoints_own_account_says_nothing_of_accounts(
    client: stripe.StripeClient, receiver: Receiver, connected: str
) -> None:
    client.v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]})
    create(client, acting(connected))
    session = create(client)
    (event,) = receiver.events(1)
    assert event["data"]["object"]["id"] == session.id
    assert not {"account", "context"} & set(event)


def test_an_organizations_key_names_the_account_in_its_context(sandbox: Sandbox) -> None:
    organization = sandbox.client("sk_org_test_1")
    member: Any = {"stripe_context": "acct_member"}
    below: Any = {"stripe_context": "acct_member/acct_belowmember"}
    theirs, deeper = create(organization, member), create(organization, below)
    sessions = sandbox.client("sk_test_acct_member").v1.identity.verification_sessions
    assert [s.id for s in sessions.list().data] == [theirs.id]
    assert [s.id for s in sessions.list({}, acting("acct_belowmember")).data] == [deeper.id]
    with pytest.raises(stripe.InvalidRequestError, match="needs the Stripe-Context"):
        create(organization)
    with pytest.raises(stripe.PermissionError):
        create(organization, {"stripe_context": "acct_belowmember"})


def test_an_event_of_an_organizations_endpoint_has_the_path_as_its_context(
    sandbox: Sandbox,
) -> None:
    organization = sandbox.client("sk_org_test_1")
    everything = ["@organization_members", "@organization_members/@accounts"]
    with receiving() as receiver:
        added = destination(sandbox, receiver.url, owner="organization", events_from=everything)
        create(organization, {"stripe_context": "acct_orgone"})
        (event,) = receiver.events(1)
        assert event["context"] == "acct_orgone"
        assert "account" not in event
        create(organization, {"stripe_context": "acct_orgone/acct_orgtwo"})
        event = receiver.events(2)[1]
        assert (event["context"], event["account"]) == ("acct_orgone/acct_orgtwo", "acct_orgtwo")
        sandbox.control("DELETE", f"/event_destinations/{added['id']}")
    stripe.Webhook.construct_event(
        receiver.received[0].body,
        receiver.received[0].signature,
        added["secret"],
    )


@pytest.mark.parametrize(
    "body",
    [
        {"url": "ftp://x"},
        {"url": "http://x", "owner": "me"},
        {"url": "http://x", "events_from": ["@all"]},
        {"url": "http://x", "enabled_events": "*"},
        {"url": "http://x", "color": 1},
    ],
)
def test_a_destination_that_cannot_be_is_refused(sandbox: Sandbox, body: Any) -> None:
    sandbox.control("POST", "/event_destinations", body, status=400)
