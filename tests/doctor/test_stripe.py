"""What the doctor finds at Stripe: the keys and the webhook endpoint."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.event import EVENT_TYPES
from app.domain.thin_event import THIN_TYPES
from app.local.valkey import free_port
from tests.doctor.deployment import ENDPOINT, Deployment, assert_is


def test_without_a_key_one_line_says_that_stripe_is_not_checked(deployment: Deployment) -> None:
    found = deployment.examine(STRIPE_API_KEY="")
    assert_is(found["stripe"], "warning", "STRIPE_API_KEY is not set")
    assert not {"stripe key", "webhook endpoint", "clock against Stripe"} & set(found)


@pytest.mark.parametrize(
    ("status", "hint"), [(401, "set a new one"), (403, "right to read and write Identity")]
)
def test_a_key_that_stripe_refuses_is_wrong(deployment: Deployment, status: int, hint: str) -> None:
    path = "/v1/identity/verification_sessions"
    deployment.sandbox.control("POST", "/faults", {"path": path, "status": status, "times": 9})
    assert_is(deployment.examine()["stripe key"], "wrong", str(status), hint)


def test_a_stripe_that_is_out_of_reach_spoils_its_own_checks_only(deployment: Deployment) -> None:
    deployment.complete()
    found = deployment.examine(STRIPE_API_BASE=f"http://127.0.0.1:{free_port()}")
    assert_is(found["stripe key"], "wrong", "out of reach")
    assert_is(found["webhook endpoint"], "warning", "not checked")
    for name in ("redis", "workers", "last event", "key mode"):
        assert_is(found[name], "ok")


def test_the_key_for_verified_data_is_looked_at(deployment: Deployment) -> None:
    for key, state, part in (
        ("", "ok", "unrestricted"),
        ("rk_test_PLANTED", "ok", "takes it"),
        ("sk_test_PLANTED2", "warning", "unrestricted"),
        ("rk_live_PLANTED", "wrong", "two modes"),
    ):
        found = deployment.examine(STRIPE_RESTRICTED_KEY=key)
        assert_is(found["restricted key"], state, part)


def test_a_key_of_the_ledgers_account_is_right_and_anothers_is_wrong(
    deployment: Deployment,
) -> None:
    own = deployment.examine()["stripe account"]
    assert_is(own, "ok", "acct_", "none yet")
    account = own.message.partition(";")[0]
    deployment.remember("stripe_account_test", account)
    assert_is(deployment.examine()["stripe account"], "ok", account)
    other = deployment.examine(STRIPE_API_KEY="sk_test_acct_other_1")["stripe account"]
    assert_is(other, "wrong", "acct_other", account, "Set a key of", "import --new-account")


def test_a_key_that_does_not_tell_its_account_is_a_warning(deployment: Deployment) -> None:
    fault = {"path": "/v1/account", "status": 403, "times": 9}
    deployment.sandbox.control("POST", "/faults", fault)
    assert_is(deployment.examine()["stripe account"], "warning", "does not say")


def test_an_endpoint_that_is_not_there_is_wrong(deployment: Deployment) -> None:
    deployment.add_endpoint("https://identity.example/other")
    found = deployment.examine()["webhook endpoint"]
    assert_is(found, "wrong", "none of the 1 at Stripe ends in /webhooks/stripe")


def test_a_disabled_endpoint_is_wrong(deployment: Deployment) -> None:
    deployment.add_endpoint()
    deployment.change_endpoint(disabled=True)
    assert_is(deployment.examine()["webhook endpoint"], "wrong", "disabled", "Enable it")


@pytest.mark.parametrize("missing", sorted(EVENT_TYPES))
def test_an_endpoint_that_lacks_a_type_is_wrong(deployment: Deployment, missing: str) -> None:
    deployment.add_endpoint(enabled_events=sorted(EVENT_TYPES - {missing}))
    assert_is(deployment.examine()["webhook endpoint"], "wrong", f"does not send {missing}")


def test_an_endpoint_of_all_types_needs_redacted_by_name(deployment: Deployment) -> None:
    redacted = "identity.verification_session.redacted"
    deployment.add_endpoint(enabled_events=["*"])
    assert_is(deployment.examine()["webhook endpoint"], "wrong", redacted, "by name")
    deployment.change_endpoint(enabled_events=["*", redacted])
    assert_is(deployment.examine()["webhook endpoint"], "ok")


def test_an_address_with_a_slash_too_many_is_wrong(deployment: Deployment) -> None:
    deployment.add_endpoint(ENDPOINT + "/")
    assert_is(deployment.examine()["webhook endpoint"], "wrong", "slash")


def test_of_two_endpoints_that_end_alike_both_are_looked_at(deployment: Deployment) -> None:
    deployment.add_endpoint()
    deployment.add_endpoint("https://staging.example/webhooks/stripe", enabled_events=["*"])
    assert_is(deployment.examine()["webhook endpoint"], "wrong", "staging.example")
    deployment.change_endpoint(disabled=True)
    assert_is(deployment.examine()["webhook endpoint"], "ok", "identity.example")


def test_an_endpoint_newer_than_this_product_is_warned_about(deployment: Deployment) -> None:
    deployment.add_endpoint(api_version="2020-08-27")
    assert_is(deployment.examine()["webhook endpoint"], "ok", "2020-08-27")
    deployment.add_endpoint(api_version="2099-01-01.oak")
    assert_is(deployment.examine()["webhook endpoint"], "warning", "2099-01-01.oak", "Update")


def test_a_key_that_may_not_see_endpoints_is_reported_with_the_right_it_needs(
    deployment: Deployment,
) -> None:
    fault = {"path": "/v1/webhook_endpoints", "status": 403}
    deployment.sandbox.control("POST", "/faults", fault)
    assert_is(deployment.examine()["webhook endpoint"], "warning", "right to read Webhook")


def destination(deployment: Deployment, payload: str, **fields: Any) -> None:
    """Add an event destination of API v2; the test's end removes it."""
    given = {"url": ENDPOINT, "event_payload": payload, **fields}
    added = deployment.sandbox.control("POST", "/event_destinations", given)
    deployment.destinations.append(added["id"])


@pytest.mark.parametrize(
    ("payload", "said"), [("snapshot", "API version"), ("thin", "thin events")]
)
def test_an_event_destination_is_an_endpoint_too(
    deployment: Deployment, payload: str, said: str
) -> None:
    destination(deployment, payload)
    assert_is(deployment.examine()["webhook endpoint"], "ok", "identity.example", said)


@pytest.mark.parametrize("missing", sorted(THIN_TYPES))
def test_a_destination_for_thin_events_that_lacks_a_type_is_wrong(
    deployment: Deployment, missing: str
) -> None:
    destination(deployment, "thin", enabled_events=sorted(THIN_TYPES - {missing}))
    assert_is(deployment.examine()["webhook endpoint"], "wrong", f"does not send {missing}")


def test_destinations_that_cannot_be_read_are_said_where_no_endpoint_is_found(
    deployment: Deployment,
) -> None:
    fault = {"path": "/v2/core/event_destinations", "status": 403, "times": 2}
    deployment.sandbox.control("POST", "/faults", fault)
    assert_is(deployment.examine()["webhook endpoint"], "wrong", "could not be read")
    deployment.add_endpoint()
    assert_is(deployment.examine()["webhook endpoint"], "ok")
