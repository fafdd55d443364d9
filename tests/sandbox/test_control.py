"""What else a test may do to the sandbox: unheard events, late and lost answers."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import stripe

from tests.sandbox.processes import Receiver, Sandbox
from tests.support.waiting import eventually

SESSIONS = "/v1/identity/verification_sessions"


@pytest.fixture
def sessions(client: stripe.StripeClient) -> Any:
    return client.v1.identity.verification_sessions


@pytest.fixture
def told(client: stripe.StripeClient, receiver: Receiver) -> Receiver:
    """A receiver of all events."""
    client.v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]})
    return receiver


def quiet(sandbox: Sandbox) -> None:
    eventually(lambda: sandbox.control("GET", "/deliveries")["pending"] == 0)


def test_a_session_is_opened_elsewhere_and_not_heard_of(
    sandbox: Sandbox, sessions: Any, told: Receiver
) -> None:
    made = sandbox.control(
        "POST",
        "/sessions",
        {
            "type": "document",
            "client_reference_id": "elsewhere",
            "options": {"document": {"require_live_capture": True, "allowed_types": ["passport"]}},
            "webhook": False,
        },
    )
    sandbox.submit(made["id"], "document_expired", webhook=False)
    sandbox.submit(made["id"], "verified", webhook=False)
    review = {"status": "requires_input", "last_error": "selfie_manipulated", "webhook": False}
    sandbox.control("POST", f"/sessions/{made['id']}/review", review)
    quiet(sandbox)
    assert told.received == []
    (listed,) = sessions.list({"client_reference_id": "elsewhere"}).data
    assert (listed.id, listed.last_error.code) == (made["id"], "selfie_manipulated")
    assert listed.options.document.allowed_types == ["passport"]
    sandbox.control("POST", f"/sessions/{made['id']}/review", {"status": "verified"})
    assert [event["type"].rpartition(".")[2] for event in told.events(1)] == ["verified"]


def test_a_session_is_opened_elsewhere_in_another_account(sandbox: Sandbox) -> None:
    body = {"type": "id_number", "account": "acct_elsewhere2", "livemode": True}
    made = sandbox.control("POST", "/sessions", body)
    assert (made["account"], made["livemode"]) == ("acct_elsewhere2", True)
    theirs = sandbox.client("sk_live_acct_elsewhere2").v1.identity.verification_sessions
    assert [session.id for session in theirs.list().data] == [made["id"]]


@pytest.mark.parametrize(
    "body",
    [
        {"type": "passport"},
        {"type": "document", "color": "red"},
        {"type": "document", "webhook": "no"},
        {"type": "document", "account": "nobody"},
        {"type": "document", "livemode": 1},
        {"type": "document", "options": {"email": {"require_verification": True}}},
    ],
)
def test_what_stripe_refuses_cannot_be_opened_elsewhere(sandbox: Sandbox, body: Any) -> None:
    assert sandbox.control("POST", "/sessions", body, status=400)["error"]["message"]


def test_a_late_answer_says_what_was_true_and_when(sandbox: Sandbox, sessions: Any) -> None:
    session = sessions.create({"type": "document"})
    asked = time.time()
    sandbox.control("POST", "/faults", {"path": f"{SESSIONS}/{session.id}", "late": 2})
    answer = sessions.retrieve(session.id)
    assert time.time() - asked >= 2
    offset = sandbox.control("GET", "/clock")["offset"]
    date = parsedate_to_datetime(answer.last_response.headers["date"]).timestamp()
    assert date - offset <= asked + 1
    assert answer.status == "requires_input"


def test_a_session_is_missing_for_a_while(sandbox: Sandbox, sessions: Any) -> None:
    session = sessions.create({"type": "document"})
    missing = {"path": f"{SESSIONS}/{session.id}", "status": 404, "code": "resource_missing"}
    sandbox.control("POST", "/faults", missing)
    with pytest.raises(stripe.InvalidRequestError) as error:
        sessions.retrieve(session.id)
    assert (error.value.http_status, error.value.code) == (404, "resource_missing")
    assert sessions.retrieve(session.id).id == session.id
