"""What an API answer shows of a session, and what it counts for."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.errors import UnreadableEvent
from app.domain.event import SessionEvent
from app.domain.session import api_answer, merge
from app.domain.snapshot import MetadataKeys
from tests.support.events import (
    OPENED,
    event_body,
    full_body,
    report_body,
    report_digest,
    session_body,
)


def parse(body: Any) -> SessionEvent:
    event = SessionEvent.parse(body)
    assert event is not None
    return event


# --- API answers ----------------------------------------------------------------------------


def test_an_api_answer_counts_for_the_second_before_its_date() -> None:
    assert api_answer(session_body(), account="", date=OPENED + 60).as_of == OPENED + 59


@pytest.mark.parametrize(("took", "before"), [(0.0, 1), (0.01, 2), (1.0, 2), (1.2, 3), (9.9, 11)])
def test_an_api_answer_of_a_slow_call_counts_for_as_much_earlier(took: float, before: int) -> None:
    seen = api_answer(session_body(), account="", date=OPENED + 60, took=took)
    assert seen.as_of == OPENED + 60 - before


def test_a_slow_answer_never_outranks_an_event_that_came_after_it_was_read() -> None:
    slow = api_answer(session_body(status="verified"), account="", date=OPENED + 9, took=8.5)
    body = event_body("requires_input", error="selfie_manipulated", at=OPENED + 1)
    newer = parse(body).observation()
    for first, second in ((slow, newer), (newer, slow)):
        assert merge(merge(None, first), second).status == "requires_input"


def test_an_api_answer_of_a_canceled_session_counts_for_its_own_second() -> None:
    canceled = api_answer(session_body(status="canceled"), account="", date=OPENED)
    created = parse(event_body(at=OPENED)).observation()
    for first, second in ((created, canceled), (canceled, created)):
        assert merge(merge(None, first), second).status == "canceled"


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


def test_an_api_answer_gives_the_digest_of_an_expanded_report() -> None:
    seen = api_answer(session_body(report=report_body("vr_7")), account="", date=OPENED)
    assert seen.snapshot.report == report_digest("vr_7")


def test_an_api_answer_finds_the_reference_in_metadata() -> None:
    session = session_body(reference=None, metadata={"userId": "u-2"})
    seen = api_answer(
        session, account="", date=OPENED, metadata_keys=MetadataKeys(("user_id", "userId"))
    )
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


def test_an_expanded_report_says_when_the_session_was_verified() -> None:
    body = session_body(status="verified", report=report_body(created=OPENED + 7))
    seen = merge(None, api_answer(body, account="", date=OPENED + 900))
    assert (seen.verified_since, seen.as_of) == (OPENED + 7, OPENED + 899)


def test_a_report_says_nothing_of_when_its_session_was_canceled() -> None:
    body = session_body(status="canceled", report=report_body(created=OPENED + 7))
    assert merge(None, api_answer(body, account="", date=OPENED + 900)).status_since == OPENED + 900


def test_an_event_says_better_than_a_report_when_the_session_was_verified() -> None:
    body = session_body(status="verified", report=report_body(created=OPENED + 7))
    shown = api_answer(body, account="", date=OPENED + 900)
    told = parse(event_body("verified", "verified", at=OPENED + 8)).observation()
    for first, second in ((shown, told), (told, shown)):
        assert merge(merge(None, first), second).verified_since == OPENED + 8


def test_an_expanded_report_without_a_time_is_not_stripes() -> None:
    report = {**report_body(), "created": "yesterday"}
    with pytest.raises(UnreadableEvent, match="created is not a time"):
        api_answer(session_body(report=report), account="", date=OPENED)
