"""Redaction, on a sandbox whose clock is moved."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import stripe

from tests.sandbox.processes import Sandbox
from tests.support.waiting import eventually

# One sandbox for all of them: they belong on one worker.
DAY = 24 * 3600
PERSONAL = {
    "type": "document",
    "client_reference_id": "user_1",
    "metadata": {"note": "CANARY"},
    "provided_details": {"email": "CANARY@example.com", "phone": "CANARY"},
}
OUTPUTS = {"first_name": "CANARY", "id_number": "CANARY", "dob": {"day": 1, "year": "CANARY"}}


@pytest.fixture
def sessions(client: stripe.StripeClient) -> Any:
    return client.v1.identity.verification_sessions


def events_of(sandbox: Sandbox, session: str) -> list[Any]:
    listed = sandbox.client().v1.events.list({"limit": 100}).auto_paging_iter()
    return [event for event in listed if event.data.object.id == session][::-1]


def names(events: list[Any]) -> list[str]:
    return [event.type.rpartition(".")[2] for event in events]


def test_a_redaction_takes_four_days_and_leaves_nothing_personal(
    sandbox: Sandbox, sessions: Any
) -> None:
    session = sessions.create(PERSONAL)
    sandbox.submit(session.id, "document_expired", reason="CANARY", verified_outputs=OUTPUTS)
    sandbox.submit(session.id, "verified", verified_outputs=OUTPUTS)
    assert sessions.redact(session.id).redaction.status == "processing"
    sandbox.control("POST", "/clock", {"advance": 4 * DAY - 60})
    assert sessions.retrieve(session.id).redaction.status == "processing"
    sandbox.control("POST", "/clock", {"advance": 120})
    expand: Any = {"expand": ["verified_outputs", "last_verification_report"]}
    redacted = sessions.retrieve(session.id, expand)
    assert redacted.redaction.status == "redacted"
    assert (redacted.status, redacted.client_reference_id) == ("verified", "user_1")
    assert redacted.verified_outputs.first_name == "[redacted]"
    assert redacted.metadata.to_dict() == {}
    events = events_of(sandbox, session.id)
    assert names(events) == [
        *("created", "processing", "requires_input", "processing", "verified", "redacted")
    ]
    assert events[2].data.object.last_error.code == "document_expired"
    assert "CANARY" not in str(redacted) + str(events)
    assert not any(event.data.object.client_secret or event.data.object.url for event in events)


def test_redacting_an_open_session_cancels_it(sandbox: Sandbox, sessions: Any) -> None:
    sandbox.control("POST", "/redaction", {"seconds": 0})
    session = sessions.create(PERSONAL)
    answer = sessions.redact(session.id)
    assert (answer.status, answer.redaction.status) == ("canceled", "processing")
    eventually(lambda: sandbox.truth(session.id)["redaction"] == "redacted")
    assert names(events_of(sandbox, session.id)) == ["created", "canceled", "redacted"]


@pytest.mark.parametrize(
    ("rule", "attempted", "accepted"),
    [
        ("attempted", True, True),
        ("attempted", False, False),
        ("allowed", False, True),
        ("refused", True, False),
    ],
)
def test_whether_a_canceled_session_can_be_redacted_is_a_switch(
    sandbox: Sandbox, sessions: Any, rule: str, attempted: bool, accepted: bool
) -> None:
    sandbox.control("POST", "/redaction", {"canceled": rule})
    session = sessions.create(PERSONAL)
    if attempted:
        sandbox.submit(session.id, "document_expired")
    sessions.cancel(session.id)
    if accepted:
        assert sessions.redact(session.id).redaction.status == "processing"
    else:
        with pytest.raises(stripe.InvalidRequestError, match="status of canceled"):
            sessions.redact(session.id)
    sandbox.control("POST", "/redaction", {"canceled": "sometimes"}, status=400)


def test_a_session_in_processing_cannot_be_redacted(sandbox: Sandbox, sessions: Any) -> None:
    session = sessions.create(PERSONAL)
    sandbox.submit(session.id, "verified", delay=10 * DAY)
    with pytest.raises(stripe.InvalidRequestError, match="processing"):
        sessions.redact(session.id)


def test_a_redacted_session_can_be_used_for_nothing(sandbox: Sandbox, sessions: Any) -> None:
    session = sessions.create(PERSONAL)
    sessions.redact(session.id)
    for call in (sessions.update, sessions.cancel, sessions.redact):
        with pytest.raises(stripe.InvalidRequestError, match="redacted"):
            call(session.id)
    sandbox.control("POST", f"/sessions/{session.id}/submit", {"outcome": "verified"}, status=409)


def test_a_link_expires_after_two_days_and_is_renewed_by_retrieval(
    sandbox: Sandbox, sessions: Any
) -> None:
    session = sessions.create(PERSONAL)
    sandbox.control("POST", "/clock", {"advance": 2 * DAY + 1})
    assert sandbox.http.get(session.url).status_code == 410
    renewed = sessions.retrieve(session.id)
    assert renewed.url != session.url
    assert sandbox.http.get(renewed.url).status_code == 200


def test_the_moved_clock_is_in_created_and_in_the_date_header(
    sandbox: Sandbox, sessions: Any
) -> None:
    sandbox.control("POST", "/clock", {"advance": 10})
    now = sandbox.control("GET", "/clock")["now"]
    session = sessions.create(PERSONAL)
    assert now - 1 <= session.created <= now + 60
    answer = session.last_response.headers["date"]
    assert abs(parsedate_to_datetime(answer).timestamp() - session.created) <= 60


def test_events_older_than_thirty_days_are_not_listed(sandbox: Sandbox, sessions: Any) -> None:
    session = sessions.create(PERSONAL)
    (event,) = events_of(sandbox, session.id)
    sandbox.control("POST", "/clock", {"advance": 30 * DAY + 60})
    assert events_of(sandbox, session.id) == []
    with pytest.raises(stripe.InvalidRequestError):
        sandbox.client().v1.events.retrieve(event.id)


def test_the_clock_never_goes_back(sandbox: Sandbox) -> None:
    sandbox.control("POST", "/clock", {"advance": -1}, status=400)
