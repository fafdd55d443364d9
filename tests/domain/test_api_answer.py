"""What an API answer shows of a session, and what it counts for."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.errors import UnreadableEvent
from app.domain.event import SessionEvent
from app.domain.session import api_answer
from tests.support.events import (
    OPENED,
    full_body,
    report_body,
    session_body,
)


def parse(body: Any) -> SessionEvent:
    event = SessionEvent.parse(body)
    assert event is not None
    return event


# --- API answers ----------------------------------------------------------------------------


def test_an_api_answer_counts_for_the_second_before_its_date() -> None:
    assert api_answer(session_body(), account="", date=OPENED + 60).as_of == OPENED + 59


def test_an_api_answer_has_no_event_and_tells_of_no_transition() -> None:
    seen = api_answer(session_body(status="verified"), account="acct_1", date=OPENED)
    assert (seen.name, seen.event_id, seen.transition) == ("verified", "", False)
    assert (seen.snapshot.account, seen.snapshot.livemode, seen.snapshot.id) == (
        "acct_1",
        False,
        "vs_1",
    )


def test_an_api_answer_of_a_redacted_session_is_routed_as_redacted() -> None:
    seen = api_answer(session_body(status="verified", redaction="redacted"), account="", date=9)
    assert (seen.name, seen.snapshot.status) == ("redacted", "verified")


def test_an_api_answer_of_a_redaction_under_way_is_routed_by_its_status() -> None:
    seen = api_answer(session_body(status="verified", redaction="processing"), account="", date=9)
    assert seen.name == "verified"


def test_an_api_answer_gives_the_id_of_an_expanded_report() -> None:
    seen = api_answer(session_body(report=report_body("vr_7")), account="", date=OPENED)
    assert seen.snapshot.report == "vr_7"


def test_an_api_answer_finds_the_reference_in_metadata() -> None:
    session = session_body(reference=None, metadata={"userId": "u-2"})
    seen = api_answer(session, account="", date=OPENED, metadata_keys=("user_id", "userId"))
    assert (seen.snapshot.reference, seen.snapshot.reference_source) == ("u-2", 1)


@pytest.mark.parametrize("session", [None, [], "vs_1", 7])
def test_an_api_answer_that_is_not_an_object_is_unreadable(session: Any) -> None:
    with pytest.raises(UnreadableEvent):
        api_answer(session, account="", date=OPENED)


def test_a_session_is_read_alike_from_an_event_and_from_an_answer() -> None:
    body = full_body(reference="user-1")
    told, asked = (
        parse(body).observation(),
        api_answer(body["data"]["object"], account="acct_1", date=OPENED + 1),
    )
    assert told.snapshot == asked.snapshot
    assert told.as_of == asked.as_of
