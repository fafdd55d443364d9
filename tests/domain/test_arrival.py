"""How a line of a timeline says the way that it came."""

from __future__ import annotations

import pytest

from app.domain.arrival import OTHERS, in_words, way_of
from app.domain.reconcile import TimelineLine, timeline_line
from app.domain.standing import NO_SESSIONS
from tests.support.observations import answer, observation

HOUR = 3_600


def line(*, at: int = 1_000, late: int = 0, by_event: bool = True) -> TimelineLine:
    """A line of what Stripe said in second `at`, written `late` seconds after it."""
    seen = observation("verified", at) if by_event else answer("verified", at)
    return timeline_line(None, NO_SESSIONS, seen, at + late)


def test_an_event_that_came_at_once_says_so() -> None:
    assert way_of(line(late=1)) == "by an event, at once"


def test_a_late_event_says_how_late_it_was() -> None:
    assert way_of(line(late=3 * HOUR + 59)) == "by an event, 3 h after Stripe had it"


def test_what_backfill_brought_says_so() -> None:
    found = way_of(line(late=3 * HOUR), backfilled=True)
    assert found == "by backfill, 3 h after Stripe had it"


def test_an_event_from_a_clock_that_is_ahead_is_not_late() -> None:
    assert way_of(line(late=-50)) == "by an event, at once"


def test_an_answer_of_stripes_api_tells_no_delay() -> None:
    assert way_of(line(late=3 * HOUR, by_event=False)) == "by asking Stripe"


@pytest.mark.parametrize("cause", sorted(OTHERS))
def test_what_stripe_has_not_caused_says_who_has(cause: str) -> None:
    assert way_of(line(by_event=False)._replace(cause=cause)) == OTHERS[cause]
    assert "Stripe" not in OTHERS[cause]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(3, "3 s"), (59, "59 s"), (119, "1 min"), (2 * HOUR, "2 h"), (50 * HOUR, "2 d")],
)
def test_a_length_of_time_is_its_largest_whole_unit(seconds: int, words: str) -> None:
    assert in_words(seconds) == words
