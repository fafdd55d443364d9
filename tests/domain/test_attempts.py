"""Which failed attempts count against MAX_ATTEMPTS, and until when what was allowed lasts."""

from __future__ import annotations

from itertools import permutations

import pytest

from app.domain.attempts import FailedAttempt
from app.domain.change import Policy
from app.domain.reconcile import Known, reconcile
from app.domain.revision import allow_attempt
from app.domain.session import Observation
from app.domain.standing import ReferenceKey, Standing, resolve
from tests.support.observations import answer, joined, observation

KEY = ReferenceKey("", False, "user-1")
NOW = 1_000


def failed(at: int, code: str = "document_expired", session: str = "vs_1") -> Observation:
    return observation("requires_input", at, code, f"vr_{session}_{at}", session=session)


def standing_of(*observations: Observation) -> Standing:
    return reconcile(Known(), observations, policy=None, now=NOW).standings[KEY]


def counted(*observations: Observation) -> tuple[int, int]:
    """All failed attempts, and those that count."""
    standing = standing_of(*observations)
    return standing.attempts, standing.attempts_counted


def test_an_attempt_keeps_when_it_failed_and_of_what() -> None:
    assert joined(failed(10)).failed_attempts == {
        "vr_vs_1_10": FailedAttempt(10, "document_expired", entered=True)
    }


def test_an_attempt_that_is_seen_again_later_is_still_that_of_then() -> None:
    later = answer("requires_input", 90, "document_expired", report="vr_vs_1_10")
    for order in permutations([failed(10), later, later]):
        assert list(joined(*order).failed_attempts.values()) == [
            FailedAttempt(10, "document_expired", entered=True)
        ]


def test_an_attempt_failed_when_its_event_says_whatever_an_answer_shows_before() -> None:
    slow = answer("requires_input", 5, "document_expired", report="vr_vs_1_10", reported_at=3)
    for order in permutations([failed(10), slow]):
        assert list(joined(*order).failed_attempts.values()) == [
            FailedAttempt(10, "document_expired", entered=True)
        ]


def test_an_attempt_that_only_an_answer_shows_failed_when_its_report_was_made() -> None:
    shown = answer("requires_input", 90, "document_expired", report="vr_1", reported_at=7)
    assert joined(shown).failed_attempts == {
        "vr_1": FailedAttempt(7, "document_expired", entered=False)
    }


def test_two_attempts_of_one_second_without_reports_are_one_that_counts_if_either_does() -> None:
    codes = ("abandoned", "country_not_supported")
    both = [observation("requires_input", 10, code, event_id=f"evt_{code}") for code in codes]
    for order in permutations(both):
        assert counted(*order) == (1, 1)


def test_an_answer_of_the_attempts_own_second_does_not_move_it_before_a_success() -> None:
    success = observation("verified", 9, session="vs_2")
    shown = answer("requires_input", 9, "document_expired", report="vr_vs_1_10")  # Date: 10
    for order in permutations([success, failed(10), shown]):
        assert counted(*order) == (1, 1)


@pytest.mark.parametrize("code", ["abandoned", "consent_declined", "device_not_supported"])
def test_what_the_person_broke_off_does_not_count(code: str) -> None:
    assert counted(failed(10, code), failed(20)) == (2, 1)


@pytest.mark.parametrize("code", ["under_supported_age", "selfie_manipulated", "a_code_of_2030"])
def test_every_other_failure_counts(code: str) -> None:
    assert counted(failed(10, code)) == (1, 1)


def test_only_attempts_since_the_last_success_count() -> None:
    life = [
        failed(10),
        observation("verified", 20),
        failed(30, session="vs_2"),
        observation("verified", 40, session="vs_3"),
        failed(50, session="vs_4"),
    ]
    for order in permutations(life):
        assert counted(*order) == (3, 1)


def test_an_attempt_of_the_second_of_the_success_came_before_it() -> None:
    assert counted(failed(20), observation("verified", 20)) == (1, 0)


def test_one_that_was_taken_back_is_a_success_of_then() -> None:
    assert counted(failed(10), observation("verified", 20), failed(30, "selfie_manipulated")) == (
        2,
        1,
    )


def test_a_user_without_a_session_has_failed_in_nothing() -> None:
    assert resolve([]).attempts_counted == 0


# --- what an operator allows ----------------------------------------------------------------


def allowed(before: Standing, policy: Policy | None = None) -> Standing:
    revision = allow_attempt(
        KEY, before, why="passport renewed", policy=policy or Policy(), now=NOW + 5
    )
    assert revision is not None
    return revision.standing


def test_one_more_attempt_is_allowed_at_a_time() -> None:
    before = standing_of(failed(10), failed(20))
    assert before.exhausts(2)
    once = allowed(before)
    assert not once.exhausts(2)
    assert once.exhausts(1)
    assert not allowed(once).exhausts(1)


def test_no_limit_is_never_exhausted() -> None:
    assert not standing_of(failed(10)).exhausts(None)


def test_the_reason_stands_in_the_timeline_and_the_team_is_told() -> None:
    before = standing_of(failed(10))
    revision = allow_attempt(KEY, before, why="renewed", policy=Policy(notify=True), now=NOW + 5)
    assert revision is not None
    line = revision.line
    assert (line.cause, line.note, line.at) == ("allowed", "renewed", NOW + 5)
    assert (line.previous_status, line.status) == ("requires_input", "requires_input")
    assert revision.standing.version == line.version == NOW + 5
    [effect] = revision.effects
    assert (effect.kind, effect.reference_key, effect.version) == ("notify", KEY.digest, NOW + 5)


def test_nobody_is_told_where_the_team_has_no_ear_for_it() -> None:
    revision = allow_attempt(KEY, standing_of(failed(10)), why="x", policy=Policy(), now=NOW)
    assert revision is not None
    assert revision.effects == ()


def after(standing: Standing, *observations: Observation, earlier: Observation) -> Standing:
    session = joined(earlier)
    known = Known(sessions={session.key: session}, standings={KEY: standing})
    return reconcile(known, observations, policy=None, now=NOW + 9).standings[KEY]


def test_what_was_allowed_outlives_the_next_failure() -> None:
    standing = after(allowed(standing_of(failed(10))), failed(20), earlier=failed(10))
    assert (standing.attempts_counted, standing.attempts_granted) == (2, 1)


def test_what_was_allowed_ends_with_the_next_success() -> None:
    success = observation("verified", 20)
    standing = after(allowed(standing_of(failed(10))), success, earlier=failed(10))
    assert (standing.attempts_counted, standing.attempts_granted) == (0, 0)


def test_what_was_allowed_beside_an_earlier_success_stays() -> None:
    success = observation("verified", 5)
    before = allowed(standing_of(success))
    standing = after(before, failed(20, session="vs_2"), earlier=success)
    assert (standing.status, standing.attempts_granted) == ("verified", 1)
