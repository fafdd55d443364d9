"""What Stripe refuses of parameters: a form has no null, and not every value can be unset."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.sandbox.processes import Sandbox

SESSIONS = "/v1/identity/verification_sessions"
BEARER = {"Authorization": "Bearer sk_test_1"}


def post(sandbox: Sandbox, path: str, form: dict[str, str]) -> Any:
    answer = sandbox.http.post(path, headers=BEARER, data=form)
    return answer.status_code, answer.json()


@pytest.mark.parametrize(
    "name",
    [
        *("client_reference_id", "options", "provided_details", "provided_details[email]"),
        *("related_customer", "related_person", "return_url", "type", "verification_flow"),
        *("options[document][allowed_types]", "options[document][require_live_capture]"),
    ],
)
def test_what_cannot_be_unset_refuses_an_empty_value(sandbox: Sandbox, name: str) -> None:
    status, body = post(sandbox, SESSIONS, {"type": "document", name: ""})
    assert (status, body["error"]["param"]) == (400, name)


@pytest.mark.parametrize("name", ["metadata", "metadata[plan]", "options[document]"])
def test_what_can_be_unset_takes_an_empty_value(sandbox: Sandbox, name: str) -> None:
    kept = {"type": "document", "metadata[plan]": "gold"}
    kept["options[document][require_live_capture]"] = "true"
    _, session = post(sandbox, SESSIONS, kept)
    status, after = post(sandbox, f"{SESSIONS}/{session['id']}", {name: ""})
    assert status == 200
    expected = ({}, session["options"]) if "metadata" in name else (session["metadata"], {})
    assert (after["metadata"], after["options"]) == expected


def test_a_json_body_is_refused(sandbox: Sandbox) -> None:
    answer = sandbox.http.post(SESSIONS, headers=BEARER, json={"type": None, "metadata": None})
    assert answer.status_code == 400
    assert "application/x-www-form-urlencoded" in answer.json()["error"]["message"]


def test_events_are_listed_by_type_or_by_types_but_not_by_both(
    client: stripe.StripeClient,
) -> None:
    name = "identity.verification_session.created"
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.v1.events.list({"type": name, "types": [name]})
    assert error.value.param == "types"
