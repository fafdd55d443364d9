"""A session is a register of its latest status, a redaction that only grows, and its attempts."""

from __future__ import annotations

from itertools import pairwise, permutations

import pytest

from app.domain.attempts import ERRORS_WITHOUT_REPORT
from app.domain.change import Change, Policy
from app.domain.session import Observation, is_tie, join, merge, rank, seen
from tests.support.observations import answer, joined, observation

# Stripe's statuses in the order in which one second is read (design, 5.2).
LADDER = [
    ("requires_input", None),
    ("processing", None),
    ("requires_input", "abandoned"),
    ("verified", None),
    ("canceled", None),
]


# --- the latest status ----------------------------------------------------------------------


def test_the_first_observation_is_the_session() -> None:
    session = merge(None, observation("processing", 12, created=3))
    assert (session.id, session.status, session.as_of, session.snapshot.created) == (
        "vs_1",
        "processing",
        12,
        3,
    )
    assert session == seen(observation("processing", 12, created=3))


def test_the_later_second_decides_whatever_its_rank() -> None:
    for session in (
        joined(observation("verified", 10), observation("requires_input", 11, "abandoned")),
        joined(observation("requires_input", 11, "abandoned"), observation("verified", 10)),
    ):
        assert (session.status, session.snapshot.last_error_code, session.as_of) == (
            "requires_input",
            "abandoned",
            11,
        )


@pytest.mark.parametrize(("lower", "higher"), list(pairwise(LADDER)))
def test_of_two_statuses_of_one_second_the_later_in_a_sessions_life_decides(
    lower: tuple[str, str | None], higher: tuple[str, str | None]
) -> None:
    for one, other in permutations([lower, higher]):
        session = joined(observation(one[0], 10, one[1]), observation(other[0], 10, other[1]))
        assert (session.status, session.snapshot.last_error_code) == higher


def test_a_status_that_stripe_adds_later_decides_its_second_until_stripe_is_asked() -> None:
    assert joined(observation("on_hold", 10), observation("canceled", 10)).status == "on_hold"
    assert rank("on_hold", None) > rank("canceled", None)


def test_of_two_events_alike_in_second_and_rank_the_greater_id_decides() -> None:
    one = observation("requires_input", 10, "abandoned", event_id="evt_a")
    other = observation("requires_input", 10, "consent_declined", event_id="evt_b")
    assert joined(one, other) == joined(other, one)
    assert joined(one, other).snapshot.last_error_code == "consent_declined"


@pytest.mark.parametrize(("status", "error"), LADDER)
@pytest.mark.parametrize(("event_status", "event_error"), LADDER)
def test_an_api_answer_never_outranks_an_event_of_its_own_second(
    status: str, error: str | None, event_status: str, event_error: str | None
) -> None:
    date = 10
    session = joined(observation(event_status, 10, event_error), answer(status, date - 1, error))
    assert (session.status, session.snapshot.last_error_code) == (event_status, event_error)


def test_an_api_answer_of_a_later_second_settles_a_tie() -> None:
    tied = joined(observation("processing", 10), observation("verified", 10))
    assert merge(tied, answer("processing", 11)).status == "processing"


def test_what_is_fixed_at_creation_does_not_depend_on_the_order() -> None:
    one, other = observation(at=10, created=3), observation(at=11, created=2)
    assert joined(one, other).snapshot.created == joined(other, one).snapshot.created == 2


# --- since ----------------------------------------------------------------------------------


def test_since_is_the_second_of_the_event_that_entered_the_status() -> None:
    assert joined(observation(at=9), observation("verified", 10)).status_since == 10


@pytest.mark.parametrize(
    "later",
    [answer("verified", 20), observation("verified", 20, name="redacted", redaction="redacted")],
)
def test_since_does_not_move_when_the_same_status_is_only_seen_again(later: Observation) -> None:
    for session in (
        joined(observation("verified", 10), later),
        joined(later, observation("verified", 10)),
    ):
        assert (session.as_of, session.status_since) == (20, 10)


def test_since_is_the_first_sight_where_no_event_has_told_of_the_status() -> None:
    assert joined(answer("verified", 20), answer("verified", 15)).status_since == 15


def test_since_moves_when_the_status_is_entered_again() -> None:
    session = joined(
        observation("verified", 10), observation("processing", 12), observation("verified", 14)
    )
    assert session.status_since == 14


# --- redaction ------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["redacted", "processing", "validated"])
def test_a_redaction_does_not_go_back_when_a_later_sight_shows_less(first: str) -> None:
    order = [None, "validated", "processing", "redacted"]
    for less in order[: order.index(first)]:
        held = observation("verified", 10, redaction=first)
        assert joined(held, answer("verified", 20, redaction=less)).snapshot.redaction == first


def test_a_redaction_grows_by_an_older_sight_too() -> None:
    held = observation("verified", 20)
    older = observation("verified", 10, name="redacted", redaction="redacted")
    assert joined(held, older).snapshot.redaction == "redacted"


def test_a_redaction_that_stripe_adds_later_stands_below_redacted_and_above_the_known() -> None:
    paused = answer("verified", 10, redaction="paused")
    for known, expected in [
        (None, "paused"),
        ("validated", "paused"),
        ("processing", "paused"),
        ("redacted", "redacted"),
    ]:
        for pair in permutations([paused, answer("verified", 20, redaction=known)]):
            assert joined(*pair).snapshot.redaction == expected


def test_a_redaction_leaves_the_outcome_as_it_is() -> None:
    redacted = observation("verified", 20, name="redacted", redaction="redacted")
    session = joined(observation("verified", 10), redacted)
    assert (session.status, session.snapshot.redaction) == ("verified", "redacted")


# --- the reference --------------------------------------------------------------------------


def test_a_client_reference_id_outranks_later_metadata() -> None:
    for pair in permutations(
        [observation(at=10, reference="a", source=2), observation(at=20, reference="b", source=1)]
    ):
        assert joined(*pair).snapshot.reference == "a"


def test_the_later_metadata_decides() -> None:
    for pair in permutations(
        [observation(at=10, reference="z", source=1), observation(at=20, reference="b", source=1)]
    ):
        assert joined(*pair).snapshot.reference == "b"


def test_a_reference_once_known_is_not_forgotten() -> None:
    for pair in permutations(
        [observation(at=10, reference="a", source=1), answer(at=20, reference=None)]
    ):
        assert joined(*pair).snapshot.reference == "a"


# --- attempts -------------------------------------------------------------------------------


def test_a_session_without_a_submission_has_no_failed_attempt() -> None:
    assert joined(observation("requires_input", 10), observation("processing", 11)).attempts == 0


def test_each_report_of_a_failed_attempt_counts_once() -> None:
    failed = observation("requires_input", 10, "abandoned", "vr_1")
    again = observation("requires_input", 20, "document_expired", "vr_2")
    assert joined(failed, observation("processing", 15), again).attempts == 2


def test_one_report_seen_by_many_observations_is_one_attempt() -> None:
    failed = observation("requires_input", 10, "abandoned", "vr_1")
    shown = [answer("requires_input", at, "abandoned", report="vr_1") for at in (8, 12, 30)]
    assert joined(failed, *shown, failed).attempts == 1


@pytest.mark.parametrize("code", sorted(ERRORS_WITHOUT_REPORT))
def test_an_attempt_that_made_no_report_is_not_the_one_of_the_last_report(code: str) -> None:
    checked = observation("requires_input", 10, "document_expired", "vr_1")
    broken_off = observation("requires_input", 20, code, "vr_1")
    shown = answer("requires_input", 30, code, report="vr_1")
    for order in permutations([checked, broken_off, shown]):
        assert joined(*order).attempts == 2


def test_failed_attempts_without_a_report_count_by_their_second() -> None:
    one, other = (observation("requires_input", at, "abandoned") for at in (10, 20))
    assert joined(one, one).attempts == 1
    assert joined(one, other, one).attempts == 2


def test_an_api_answer_that_shows_a_failed_attempt_without_a_report_adds_nothing() -> None:
    failed = observation("requires_input", 10, "abandoned")
    for pair in permutations(
        [failed, *(answer("requires_input", at, "abandoned") for at in (12, 99))]
    ):
        assert joined(*pair).attempts == 1


def test_api_answers_alone_count_one_failed_attempt_without_a_report() -> None:
    assert joined(*(answer("requires_input", at, "abandoned") for at in (12, 30))).attempts == 1


def test_a_later_event_that_shows_an_attempt_without_a_report_adds_nothing() -> None:
    redacted = observation("requires_input", 20, "abandoned", name="redacted", redaction="redacted")
    assert joined(observation("requires_input", 10, "abandoned"), redacted).attempts == 1


@pytest.mark.parametrize("status", ["processing", "verified", "canceled", "on_hold"])
def test_only_a_session_that_requires_input_shows_a_failed_attempt(status: str) -> None:
    assert joined(observation(status, 10, "abandoned", "vr_1")).attempts == 0


# --- ties -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "told", "tied"),
    [
        (observation("processing", 10), observation("verified", 10), True),
        (observation("verified", 10), observation("processing", 10), True),
        (observation("requires_input", 10), observation("requires_input", 10, "abandoned"), True),
        (observation("verified", 10), answer("processing", 10), True),
        (observation("on_hold", 10), observation("paused", 10), True),
        (observation("processing", 10), observation("verified", 11), False),
        (observation("verified", 11), observation("processing", 10), False),
        (observation("verified", 10), observation("verified", 10), False),
        (observation("verified", 10), observation("verified", 10, name="redacted"), False),
    ],
)
def test_two_different_statuses_of_one_second_are_a_tie(
    held: Observation, told: Observation, tied: bool
) -> None:
    assert is_tie(seen(held), told) is tied


def test_the_first_sight_of_a_session_ties_with_nothing() -> None:
    assert not is_tie(None, observation())


def test_join_of_two_parts_is_the_session_of_all() -> None:
    one, other = (
        [observation(at=9), observation("verified", 10)],
        [answer("verified", 30), observation("processing")],
    )
    assert join(joined(*one), joined(*other)) == joined(*one, *other)


@pytest.mark.parametrize(
    ("seen", "submitted"),
    [
        ((observation("requires_input", 10),), False),
        ((observation("canceled", 10),), False),
        ((observation("requires_input", 10), observation("canceled", 20)), False),
        ((observation("requires_input", 10, "abandoned"), observation("canceled", 20)), True),
        ((observation("processing", 10), observation("canceled", 20)), True),
        ((answer("canceled", 20, report="vr_1"),), True),
        ((answer("canceled", 20, "document_expired"),), True),
        ((observation("verified", 20),), True),
    ],
)
def test_a_session_was_submitted_to_if_anything_seen_of_it_says_so(
    seen: tuple[Observation, ...], submitted: bool
) -> None:
    assert joined(*seen).submitted is submitted


FAILED = observation("requires_input", 30, "document_expired", "vr_1")


@pytest.mark.parametrize(
    ("seen", "since"),
    [
        pytest.param((observation("requires_input", 10),), None, id="nothing submitted"),
        pytest.param((observation("canceled", 10),), None, id="closed unused"),
        pytest.param((observation("processing", 20),), None, id="processing"),
        pytest.param((FAILED, observation("processing", 40)), None, id="processing anew"),
        pytest.param((observation("verified", 50),), 50, id="verified"),
        pytest.param((observation("verified", 50), answer("verified", 90)), 50, id="asked about"),
        pytest.param((answer("verified", 80), answer("verified", 90)), 80, id="imported"),
        pytest.param((FAILED,), 30, id="failed"),
        pytest.param((FAILED, answer("requires_input", 90, "document_expired")), 30, id="polled"),
        pytest.param(
            (
                observation("requires_input", 10, created=10),
                answer("requires_input", 40, "document_expired", report="vr_1", created=10),
                answer("requires_input", 90, "document_expired", report="vr_1", created=10),
            ),
            41,
            id="failed, and no event told of it",
        ),
        pytest.param((FAILED, observation("canceled", 60)), 60, id="given up"),
        pytest.param(
            (observation("verified", 50), observation("requires_input", 70, "selfie_manipulated")),
            70,
            id="reopened",
        ),
        pytest.param((observation("verified", 50), observation("verified", 99)), 99, id="again"),
        pytest.param(
            (observation("verified", 50), answer("verified", 60, redaction="processing")),
            None,
            id="being redacted",
        ),
        pytest.param((answer("on_hold", 50),), None, id="a status that Stripe added"),
    ],
)
def test_the_days_until_a_redaction_count_from_the_outcome_and_only_where_there_is_one(
    seen: tuple[Observation, ...], since: int | None
) -> None:
    assert all(joined(*order).redactable_since == since for order in permutations(seen))


# --- the level of the check -----------------------------------------------------------------

SELFIE = '{"document":{"require_matching_selfie":true}}'


def test_the_level_of_the_check_is_that_of_the_latest_observation() -> None:
    asked = observation("requires_input", 10, type="document")
    changed = observation("verified", 30, type="id_number", flow="vf_1", options=SELFIE)
    for order in ((asked, changed), (changed, asked)):
        kept = joined(*order).snapshot
        assert (kept.type, kept.verification_flow, kept.options) == ("id_number", "vf_1", SELFIE)


def test_an_answer_that_only_shows_another_level_gives_the_status_anew_to_nobody() -> None:
    before = joined(observation("processing", 10))
    shown = answer("processing", 20, options=SELFIE)
    change = Change(shown, before, merge(before, shown), None, None, Policy())
    assert not change.decided
