"""What each status asks for, and when it asks for nothing."""

from __future__ import annotations

import pytest

from app.domain.attempts import FREE_ERRORS
from app.domain.change import Change, Policy
from app.domain.effects import (
    PROCESSING_OVERDUE,
    TIE_RECHECK_AFTER,
    Cancel,
    Effect,
    Notify,
    Purge,
    Recheck,
)
from app.domain.handlers import HANDLERS, handle
from app.domain.session import Observation, Session, api_answer, merge
from app.domain.snapshot import SessionKey
from app.domain.standing import Standing, resolve, with_next_version
from tests.support.events import session_body
from tests.support.observations import answer, known, observation

ALL_ON = Policy(notify=True, max_attempts=2)
NOTIFY = Policy(notify=True)
NOW = 1_000
CANCEL = Cancel(SessionKey("vs_1", "", False))
OFF = Policy()

OPENED = observation("requires_input", 10, name="created")
CHECKED = observation("processing", 20)
FAILED = observation("requires_input", 30, "document_expired", "vr_1")
FAILED_AGAIN = observation("requires_input", 40, "document_expired", "vr_2")
VERIFIED = observation("verified", 50)
CANCELED = observation("canceled", 60)
REDACTED = observation("verified", 70, name="redacted", redaction="redacted")


def standing_of(sessions: list[Session]) -> Standing | None:
    return with_next_version(None, resolve(sessions), NOW) if sessions else None


def change(
    *observations: Observation, policy: Policy = ALL_ON, others: tuple[Session, ...] = ()
) -> Change:
    """What the last of the observations changes, after the observations before it."""
    *earlier, last = observations
    before = known(earlier)
    session = merge(before, last)
    standing_before = standing_of([*others, *([before] if before else [])])
    return Change(
        observation=last,
        session_before=before,
        session=session,
        standing_before=standing_before,
        standing=with_next_version(standing_before, resolve([*others, session]), NOW),
        policy=policy,
        sessions=[*others, session],
    )


def asked(*observations: Observation, policy: Policy = ALL_ON) -> list[Effect]:
    return handle(change(*observations, policy=policy))


def asked_of_orphan(*observations: Observation, policy: Policy = ALL_ON) -> list[Effect]:
    found = change(*observations, policy=policy)
    return handle(
        Change(found.observation, found.session_before, found.session, None, None, policy)
    )


def test_there_is_a_handler_for_each_of_the_six_types_and_no_other() -> None:
    assert [*HANDLERS] == [
        "created",
        "processing",
        "requires_input",
        "verified",
        "canceled",
        "redacted",
    ]


# --- created --------------------------------------------------------------------------------


def test_a_created_session_is_told_where_it_changes_the_standing() -> None:
    assert asked(OPENED) == [Notify()]
    assert asked(VERIFIED, OPENED) == []


# --- processing -----------------------------------------------------------------------------


def test_a_processing_session_is_asked_about_in_a_quarter_of_an_hour() -> None:
    assert asked(OPENED, CHECKED) == [Notify(), Recheck(after=PROCESSING_OVERDUE)]
    assert PROCESSING_OVERDUE == 900


def test_a_processing_event_that_comes_late_asks_for_nothing() -> None:
    assert asked(OPENED, VERIFIED, CHECKED) == []


def test_an_api_answer_that_first_shows_processing_asks_for_a_recheck() -> None:
    found = asked(OPENED, answer("processing", 25))
    assert found == [Notify(), Recheck(after=PROCESSING_OVERDUE)]


def test_without_an_api_key_no_recheck_is_asked_for() -> None:
    policy = Policy(recheck=False)
    assert asked(OPENED, CHECKED, policy=policy) == []
    assert asked(CHECKED, observation("verified", 20), policy=policy) == []


# --- requires_input -------------------------------------------------------------------------


def test_a_failed_attempt_is_told() -> None:
    assert asked(OPENED, FAILED) == [Notify()]


@pytest.mark.parametrize(("limit", "cancels"), [(None, False), (3, False), (2, True), (1, True)])
def test_a_failed_attempt_cancels_at_or_past_the_limit(limit: int | None, cancels: bool) -> None:
    found = asked(OPENED, FAILED, FAILED_AGAIN, policy=Policy(max_attempts=limit))
    assert found == ([CANCEL] if cancels else [])


def test_the_attempts_of_all_sessions_of_the_reference_count_for_the_limit() -> None:
    other = known([observation("requires_input", 5, "document_expired", session="vs_0")])
    assert other is not None
    closed = merge(other, observation("canceled", 6, session="vs_0"))
    assert handle(change(OPENED, FAILED, others=(closed,))) == [Notify(), CANCEL]


def test_a_session_that_was_never_submitted_is_not_canceled_for_another_ones_attempts() -> None:
    other = known([FAILED, FAILED_AGAIN])
    assert other is not None
    new = observation("requires_input", 90, session="vs_2", created=80)
    assert handle(change(new, others=(other,))) == [Notify()]


def test_a_failed_attempt_that_comes_late_cancels_no_session_that_has_gone_on() -> None:
    assert CANCEL not in asked(OPENED, FAILED_AGAIN, CHECKED, VERIFIED, FAILED)


def test_a_failed_attempt_that_comes_late_and_reaches_the_limit_cancels() -> None:
    assert CANCEL in asked(FAILED_AGAIN, FAILED)


def test_a_failed_attempt_that_comes_late_and_past_the_limit_cancels_nothing_again() -> None:
    first = observation("requires_input", 25, "document_expired", "vr_0")
    assert CANCEL not in asked(first, FAILED_AGAIN, FAILED)


def test_a_failed_attempt_of_an_orphan_cancels_nothing() -> None:
    assert asked_of_orphan(OPENED, FAILED, FAILED_AGAIN) == []


def test_an_api_answer_that_first_shows_the_last_attempt_cancels() -> None:
    found = asked(OPENED, FAILED, answer("requires_input", 45, "document_expired", report="vr_2"))
    assert found == [Notify(), CANCEL]


def test_at_the_limit_every_open_session_of_the_reference_is_canceled() -> None:
    opened = known([observation("requires_input", 5, session="vs_0", name="created")])
    failed = known([observation("requires_input", 6, "document_expired", session="vs_2")])
    checked = known([observation("processing", 7, session="vs_3")])
    gone = known([observation("requires_input", 8, session="vs_4", redaction="processing")])
    others = tuple(one for one in (opened, failed, checked, gone) if one is not None)
    asked_for = handle(change(OPENED, FAILED, others=others))
    canceled = {effect.session.id for effect in asked_for if isinstance(effect, Cancel)}
    assert canceled == {"vs_0", "vs_1", "vs_2"}


@pytest.mark.parametrize("code", sorted(FREE_ERRORS))
def test_an_attempt_that_was_broken_off_does_not_count(code: str) -> None:
    failures = [observation("requires_input", at, code) for at in (30, 40, 50)]
    assert asked(OPENED, *failures) == [Notify()]


# --- verified -------------------------------------------------------------------------------


def test_a_verified_session_is_told() -> None:
    assert asked(OPENED, VERIFIED) == [Notify()]


def test_a_verified_event_of_an_older_session_is_told() -> None:
    newer = known([observation("requires_input", 90, session="vs_2", created=80)])
    assert newer is not None
    found = change(OPENED, VERIFIED, others=(newer,), policy=NOTIFY)
    assert (found.standing and found.standing.status, handle(found)) == ("verified", [Notify()])


# --- canceled, redacted ---------------------------------------------------------------------


def test_a_canceled_session_is_told() -> None:
    assert asked(OPENED, CANCELED) == [Notify()]


def test_a_canceled_session_beside_a_verified_one_is_not_told() -> None:
    verified = known([observation("verified", 5, session="vs_0")])
    assert verified is not None
    assert handle(change(OPENED, CANCELED, others=(verified,))) == []


def test_a_redacted_session_is_told_and_purged() -> None:
    assert asked(VERIFIED, REDACTED) == [Notify(), Purge()]


def test_a_redacted_session_is_purged_though_nobody_is_told() -> None:
    assert asked(VERIFIED, REDACTED, policy=OFF) == [Purge()]
    assert asked_of_orphan(VERIFIED, REDACTED) == [Purge()]


def test_a_redacted_event_purges_again_after_an_api_answer_has_shown_the_redaction() -> None:
    assert asked(VERIFIED, answer("verified", 90, redaction="redacted"), REDACTED) == [Purge()]


def test_an_api_answer_that_first_shows_a_redaction_is_told_and_purged() -> None:
    assert asked(VERIFIED, answer("verified", 90, redaction="redacted")) == [Notify(), Purge()]


# --- notifications --------------------------------------------------------------------------

CHANGING = [
    pytest.param((OPENED, FAILED), id="requires_input"),
    pytest.param((OPENED, VERIFIED), id="verified"),
    pytest.param((OPENED, CANCELED), id="canceled"),
    pytest.param((VERIFIED, REDACTED), id="redacted"),
    pytest.param((OPENED, answer("on_hold", 90)), id="unknown status"),
]


@pytest.mark.parametrize("observations", CHANGING)
def test_a_notification_is_asked_for_when_the_standing_changed(
    observations: tuple[Observation, ...],
) -> None:
    assert [
        effect for effect in asked(*observations, policy=NOTIFY) if isinstance(effect, Notify)
    ] == [Notify()]


@pytest.mark.parametrize("observations", CHANGING)
def test_no_notification_is_asked_for_where_the_team_has_no_ear_for_it(
    observations: tuple[Observation, ...],
) -> None:
    assert Notify() not in asked(*observations, policy=OFF)


@pytest.mark.parametrize("observations", CHANGING)
def test_no_notification_is_asked_for_where_the_standing_is_as_it_was(
    observations: tuple[Observation, ...],
) -> None:
    assert Notify() not in asked(*observations, observations[-1], policy=NOTIFY)


def test_an_event_that_changes_its_session_but_not_the_standing_is_not_told() -> None:
    newer = known([observation("requires_input", 90, session="vs_2", created=80)])
    assert newer is not None
    found = change(OPENED, CANCELED, others=(newer,))
    assert found.session_before != found.session
    assert handle(found) == []


@pytest.mark.parametrize("status", ["on_hold", "archived"])
def test_an_api_answer_with_a_status_that_stripe_added_is_told(status: str) -> None:
    assert asked(OPENED, answer(status, 90)) == [Notify()]


# --- API answers that show nothing new ------------------------------------------------------


@pytest.mark.parametrize(
    "observations",
    [
        pytest.param((OPENED, answer("requires_input", 99)), id="created"),
        pytest.param((CHECKED, answer("processing", 99)), id="processing"),
        pytest.param(
            (FAILED, FAILED_AGAIN, answer("requires_input", 99, "document_expired", report="vr_2")),
            id="requires_input",
        ),
        pytest.param((VERIFIED, answer("verified", 99)), id="verified"),
        pytest.param((CANCELED, answer("canceled", 99)), id="canceled"),
        pytest.param(
            (VERIFIED, REDACTED, answer("verified", 99, redaction="redacted")), id="redacted"
        ),
        pytest.param((answer("verified", 80), answer("verified", 99)), id="only answers"),
        pytest.param((answer("on_hold", 80), answer("on_hold", 99)), id="unknown status"),
        pytest.param((VERIFIED, answer("processing", 45)), id="an older answer"),
    ],
)
def test_an_api_answer_that_shows_nothing_new_asks_for_nothing(
    observations: tuple[Observation, ...],
) -> None:
    assert asked(*observations) == []


# --- late events and ties -------------------------------------------------------------------


@pytest.mark.parametrize("late", [OPENED, CHECKED, FAILED, FAILED_AGAIN, VERIFIED])
def test_a_late_event_that_lost_asks_neither_to_cancel_nor_to_recheck(
    late: Observation,
) -> None:
    found = asked(observation("requires_input", 25, "abandoned", "vr_0"), CANCELED, late)
    assert not [effect for effect in found if not isinstance(effect, Notify)]


@pytest.mark.parametrize(
    "observations",
    [
        pytest.param((CHECKED, observation("verified", 20)), id="the winner comes last"),
        pytest.param((observation("verified", 20), CHECKED), id="the winner comes first"),
        pytest.param((observation("requires_input", 20), CHECKED), id="processing wins"),
        pytest.param(
            (CHECKED, observation("requires_input", 20, "abandoned")), id="a failed attempt"
        ),
        pytest.param((observation("canceled", 20), answer("verified", 20)), id="an answer"),
        pytest.param(
            (observation("on_hold", 20), observation("paused", 20, name="canceled")), id="unknown"
        ),
    ],
)
def test_a_tie_asks_for_one_recheck_soon(observations: tuple[Observation, ...]) -> None:
    checks = [effect for effect in asked(*observations) if isinstance(effect, Recheck)]
    assert checks == [Recheck(after=TIE_RECHECK_AFTER)]


def test_a_ties_recheck_comes_late_enough_to_outrank_it() -> None:
    tied_at = 20
    asked_at = tied_at + TIE_RECHECK_AFTER
    late = api_answer(session_body(), account="", date=asked_at, took=1.9)
    assert late.as_of > tied_at


def test_one_status_told_twice_in_a_second_is_no_tie() -> None:
    assert asked(CANCELED, observation("canceled", 60, event_id="evt_again")) == []
