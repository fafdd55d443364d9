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
    scribe.apply(*(observation("requires_input", 100, session=session) for session in sessions))
    keys = [SessionKey(session, "", False) for session in sessions]
    polling.mark_checked(keys[:2], NOW)
    polling.mark_checked([], NOW)
    polling.mark_checked([keys[2]], NOW)
    assert due(polling) == ["vs_3"]
    assert sorted(due(polling, NOW + DAY + 1)) == sessions


def test_a_session_that_stripe_does_not_know_is_not_due(scribe: Scribe, polling: Polling) -> None:
    scribe.apply(observation("requires_input", 100))
    polling.mark_missing(SessionKey("vs_1", "", False), NOW)
    assert due(polling, NOW + 9 * DAY) == []
    record = scribe.ledger.read_reference("user_1", livemode=False)
    assert record is not None
    assert record.missing == {"vs_1"}
