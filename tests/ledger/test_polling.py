"""Which sessions Stripe is to be asked about, on both databases."""

from __future__ import annotations

import pytest

from app.domain.durations import DAY, HOUR, MINUTE
from app.domain.snapshot import SessionKey
from app.ledger.polling import Polling
from tests.ledger.conftest import Scribe
from tests.support.ledger import observation

NOW = 100 * DAY


@pytest.fixture
def polling(scribe: Scribe) -> Polling:
    return scribe.ledger.polling


def due(polling: Polling, now: int = NOW, limit: int = 10) -> list[str]:
    return [key.id for key in polling.sessions_to_check(False, now, limit)]


def test_the_sessions_that_somebody_waits_for_come_first(scribe: Scribe, polling: Polling) -> None:
    scribe.apply(
        observation("requires_input", NOW - 2 * DAY, session="vs_a"),
        observation("verified", NOW - DAY, session="vs_b", redaction="processing"),
        observation("processing", NOW - HOUR, session="vs_c"),
    )
    assert due(polling) == ["vs_c", "vs_b", "vs_a"]
    assert due(polling, limit=1) == ["vs_c"]


def test_a_session_of_which_was_heard_not_long_ago_is_not_due(
    scribe: Scribe, polling: Polling
) -> None:
    scribe.apply(
        observation("requires_input", NOW - HOUR, session="vs_a"),
        observation("processing", NOW - MINUTE, session="vs_b"),
        observation("verified", NOW - 9 * DAY, session="vs_c"),
        observation("requires_input", NOW - 9 * DAY, session="vs_d", livemode=True),
    )
    assert due(polling) == []


def test_sessions_marked_as_checked_are_not_due_again_soon(
    scribe: Scribe, polling: Polling
) -> None:
    sessions = [f"vs_{n}" for n in range(4)]
    since = NOW - DAY
    scribe.apply(*(observation("requires_input", since, session=session) for session in sessions))
    keys = [SessionKey(session, "", False) for session in sessions]
    polling.mark_checked(keys[:2], NOW)
    polling.mark_checked([], NOW)
    polling.mark_checked([keys[2]], NOW)
    assert due(polling) == ["vs_3"]
    assert sorted(due(polling, NOW + DAY)) == sessions


def test_a_session_that_the_ledger_does_not_know_is_not_marked(polling: Polling) -> None:
    polling.mark_checked([SessionKey("vs_other", "", False)], NOW)
    assert due(polling, NOW + 9 * DAY) == []


def missing(scribe: Scribe) -> frozenset[str]:
    record = scribe.ledger.read_reference("user_1", livemode=False)
    assert record is not None
    return record.missing


@pytest.mark.parametrize("status", ["requires_input", "processing"])
def test_a_session_that_stripe_does_not_know_is_asked_about_again_at_growing_intervals(
    scribe: Scribe, polling: Polling, status: str
) -> None:
    scribe.apply(observation(status, 100))
    asked = []
    for hour in range(60 * 24):
        if due(polling, NOW + hour * HOUR):
            polling.mark_missing(SessionKey("vs_1", "", False), NOW + hour * HOUR)
            asked.append(hour / 24)
    assert asked == [0, 1, 3, 7, 15]
    assert missing(scribe) == {"vs_1"}


def test_a_session_that_stripe_did_not_know_comes_after_all_others(
    scribe: Scribe, polling: Polling
) -> None:
    scribe.apply(
        observation("processing", 100, session="vs_a"),
        observation("requires_input", 100, session="vs_b"),
    )
    polling.mark_missing(SessionKey("vs_a", "", False), NOW - 2 * DAY)
    assert due(polling) == ["vs_b", "vs_a"]


def test_a_later_event_says_that_the_session_is_not_missing(
    scribe: Scribe, polling: Polling
) -> None:
    scribe.apply(observation("requires_input", 100))
    polling.mark_missing(SessionKey("vs_1", "", False), NOW)
    scribe.apply(observation("processing", 200))
    assert missing(scribe) == frozenset()
    assert due(polling, NOW + HOUR) == ["vs_1"]


def test_an_answer_that_says_nothing_new_ends_it_as_well(scribe: Scribe, polling: Polling) -> None:
    scribe.apply(observation("requires_input", 100))
    polling.mark_missing(SessionKey("vs_1", "", False), NOW)
    scribe.apply(observation("requires_input", 100, event=""))
    assert missing(scribe) == frozenset()


def test_an_event_that_was_applied_before_ends_nothing(scribe: Scribe, polling: Polling) -> None:
    scribe.apply(observation("requires_input", 100))
    polling.mark_missing(SessionKey("vs_1", "", False), NOW)
    scribe.apply(observation("requires_input", 100))
    assert missing(scribe) == {"vs_1"}
