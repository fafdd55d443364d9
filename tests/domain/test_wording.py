"""A standing in words."""

from __future__ import annotations

import pytest

from app.domain.standing import NEXT_STEPS, NO_SESSIONS
from app.domain.wording import (
    NEXT_STEPS as IN_WORDS,
)
from app.domain.wording import (
    attempts_in_words,
    next_step_in_words,
    status_in_words,
)

FAILED_TWICE = NO_SESSIONS._replace(attempts=4, attempts_counted=2)


def test_every_next_step_has_words() -> None:
    assert {*NEXT_STEPS.values(), "none", "wait", "submit", "review", "retry"} == IN_WORDS.keys()


def test_a_status_or_step_that_is_not_known_stands_for_itself() -> None:
    assert status_in_words("paused") == "paused"
    assert next_step_in_words("dance") == "dance"


@pytest.mark.parametrize(
    ("granted", "counted", "words"),
    [
        (0, 2, "1 of 3 left; 4 failed in all"),
        (1, 2, "2 of 4 left; 4 failed in all"),
        (0, 5, "0 of 3 left; 4 failed in all"),
    ],
)
def test_attempts_left_are_those_of_the_limit_and_of_what_was_granted(
    granted: int, counted: int, words: str
) -> None:
    standing = FAILED_TWICE._replace(attempts_granted=granted, attempts_counted=counted)
    assert attempts_in_words(standing, 3) == words


def test_without_a_limit_nothing_limits_attempts() -> None:
    assert attempts_in_words(FAILED_TWICE, None).startswith("4 failed; MAX_ATTEMPTS is not set")
