"""When Stripe is asked about a session of which nothing comes."""

from __future__ import annotations

import pytest

from app.domain.durations import DAY, HOUR, MINUTE
from app.domain.polling import next_poll
from app.domain.session import Session, seen
from tests.support.ledger import observation

SINCE = 100 * DAY


def session(status: str, redaction: str | None = None) -> Session:
    return seen(observation(status, SINCE, redaction=redaction))


def questions(asked: Session) -> list[int]:
    """Seconds after which it is asked about, if nothing ever comes of it."""
    found = []
    moment = next_poll(asked, SINCE)
    while moment is not None:
        found.append(moment - SINCE)
        moment = next_poll(asked, moment)
    return found


def test_an_abandoned_session_is_asked_about_after_1_2_4_8_and_16_days() -> None:
    assert questions(session("requires_input")) == [days * DAY for days in (1, 2, 4, 8, 16)]


def test_a_check_is_asked_about_after_a_quarter_of_an_hour_and_then_ever_more_rarely() -> None:
    asked = questions(session("processing"))
    assert asked[:4] == [15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR]
    assert asked[-1] <= 30 * DAY


@pytest.mark.parametrize("state", ["validated", "processing"])
def test_a_redaction_is_asked_about_after_an_hour_and_then_ever_more_rarely(state: str) -> None:
    asked = questions(session("verified", state))
    assert asked[:3] == [HOUR, 2 * HOUR, 4 * HOUR]
    assert asked[-1] <= 30 * DAY


@pytest.mark.parametrize(
    ("status", "redaction"),
    [("verified", None), ("canceled", None), ("requires_input", "redacted")],
)
def test_a_session_that_waits_for_nothing_is_not_asked_about(
    status: str, redaction: str | None
) -> None:
    assert questions(session(status, redaction)) == []


def test_a_question_is_never_due_at_once_however_late_the_session_is_seen() -> None:
    for late in range(0, 40 * DAY, 7 * HOUR):
        moment = next_poll(session("requires_input"), SINCE + late)
        assert moment is None or moment > SINCE + late
