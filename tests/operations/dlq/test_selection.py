"""Which letters a selection means."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.domain.standing import ReferenceKey
from app.operations.dlq.selection import Selection, age_of
from app.queue.dead_letters import DeadLetter

NOW = 1_700_000_000.0


def dead(ago: float = 60, **payload: object) -> DeadLetter:
    """A letter that has been dead for so many seconds."""
    died = datetime.fromtimestamp(NOW - ago, UTC).isoformat().replace("+00:00", "Z")
    return DeadLetter("evt_1", "timed_out", "Slow", "late", 2, died, died, "", payload)


@pytest.mark.parametrize(
    ("selection", "meant"),
    [
        (Selection(), True),
        (Selection(reason="timed_out"), True),
        (Selection(reason="crashed_worker"), False),
        (Selection(status="verified"), True),
        (Selection(status="canceled"), False),
        (Selection(reference="user-1"), True),
        (Selection(reference="user-10"), False),
        (Selection(session="vs_1"), True),
        (Selection(session="vs_2"), False),
        (Selection(reason="timed_out", status="verified", reference="user-1"), True),
        (Selection(reason="timed_out", status="verified", reference="user-2"), False),
        (Selection(older_than=60), True),
        (Selection(older_than=61), False),
        (Selection(younger_than=60), True),
        (Selection(younger_than=59), False),
        (Selection(older_than=50, younger_than=70), True),
    ],
)
def test_a_letter_matches_if_it_meets_all_conditions(selection: Selection, meant: bool) -> None:
    letter = dead(60, status="verified", reference="user-1", session_id="vs_1")
    assert selection.matches(letter, NOW) is meant


DRIVER = ReferenceKey("", False, "user-1", "driver")


@pytest.mark.parametrize(("purpose", "meant"), [(None, True), ("driver", True), ("", False)])
def test_an_event_for_a_purpose_is_the_users(purpose: str | None, meant: bool) -> None:
    letter = dead(60, reference="user-1", purpose="driver")
    assert Selection(reference="user-1", purpose=purpose).matches(letter, NOW) is meant


@pytest.mark.parametrize(("purpose", "meant"), [(None, False), ("driver", True), ("tenant", False)])
def test_a_notification_for_a_purpose_is_meant_with_it(purpose: str | None, meant: bool) -> None:
    letter = dead(60, reference_key=DRIVER.digest, account="", livemode=False)
    assert Selection(reference="user-1", purpose=purpose).matches(letter, NOW) is meant


def test_a_letter_without_a_payload_is_like_no_reference() -> None:
    assert not Selection(reference="user-1").matches(dead(), NOW)


def test_a_letter_of_a_clock_ahead_of_ours_died_just_now() -> None:
    assert age_of(dead(-5), NOW) == 0


def test_a_letter_that_another_tool_failed_counts_as_just_now() -> None:
    letter = DeadLetter("evt_1", "permanent_error", "", "", 0, "", "", "", {})
    assert age_of(letter, NOW) == 0
