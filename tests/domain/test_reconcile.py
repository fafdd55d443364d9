"""What observations make of what the ledger knows: sessions, standings, timeline, effects."""

from __future__ import annotations

from app.domain.change import Policy
from app.domain.reconcile import Known, Outcome, reconcile
from app.domain.session import Observation
from app.domain.snapshot import METADATA
from app.domain.standing import ReferenceKey
from tests.support.observations import answer, observation

NOW = 1_000
ALL_ON = Policy(notify=True, max_attempts=2)
USER_1 = ReferenceKey("", False, "user-1")
USER_2 = ReferenceKey("", False, "user-2")

FAILED = observation("requires_input", 20, "document_expired", "vr_1")
VERIFIED = observation("verified", 30)


def given(outcome: Outcome, known: Known | None = None) -> Known:
    """What the ledger holds once an outcome is written."""
    known = known or Known()
    return Known(
        sessions={**known.sessions, **outcome.sessions},
        standings={**known.standings, **outcome.standings},
    )


def of(*observations: Observation, known: Known | None = None) -> Outcome:
    return reconcile(known or Known(), observations, policy=ALL_ON, now=NOW)


def test_a_first_observation_opens_its_session_and_its_reference() -> None:
    outcome = of(VERIFIED)
    assert {key.id for key in outcome.sessions} == {"vs_1"}
    standing = outcome.standings[USER_1]
    assert (standing.status, standing.version) == ("verified", NOW)
    assert [(key, line.previous_status, line.version) for key, line in outcome.timeline] == [
        (USER_1, None, NOW)
    ]


def test_what_differs_in_nothing_is_not_written_again() -> None:
    outcome = of(observation("processing", 10, event_id="evt_late"), known=given(of(VERIFIED)))
    assert outcome.standings == {}
    assert outcome.timeline == ()
    assert [one.outcome for one in outcome.applied] == ["applied"]


def test_an_event_that_was_applied_before_is_a_duplicate() -> None:
    known = Known(applied_events=frozenset({VERIFIED.event_id}))
    outcome = of(VERIFIED, known=known)
    assert outcome == Outcome({}, (), {}, (), (), outcome.applied)
    assert [one.outcome for one in outcome.applied] == ["duplicate"]


def test_an_event_that_comes_twice_in_one_batch_is_a_duplicate_the_second_time() -> None:
    assert [one.outcome for one in of(VERIFIED, VERIFIED).applied] == ["applied", "duplicate"]


def test_each_change_of_a_batch_has_its_own_version_and_line() -> None:
    outcome = of(observation("processing", 10), FAILED, VERIFIED)
    assert outcome.standings[USER_1].version == NOW + 2
    assert [line.status for _, line in outcome.timeline] == [
        "processing",
        "requires_input",
        "verified",
    ]


def test_only_failed_attempts_that_are_new_are_written() -> None:
    first = of(FAILED)
    again = observation("requires_input", 40, "document_expired", "vr_2")
    assert [name for _, name, _ in first.attempts] == ["vr_1"]
    assert [name for _, name, _ in of(again, known=given(first)).attempts] == ["vr_2"]


def test_an_orphan_has_a_session_and_no_standing() -> None:
    outcome = of(observation("verified", 10, reference=None))
    assert len(outcome.sessions) == 1
    assert outcome.standings == {}
    assert outcome.applied[0].standing is None


def test_a_session_that_moves_changes_both_references_and_notifies_of_both() -> None:
    first = of(observation("verified", 10, source=METADATA))
    moved = observation("verified", 20, reference="user-2", source=METADATA)
    outcome = of(moved, known=given(first))
    assert outcome.standings[USER_1].status == "none"
    assert outcome.standings[USER_2].status == "verified"
    notified = [effect.reference_key for effect in outcome.effects if effect.kind == "notify"]
    assert notified == [USER_2.digest, USER_1.digest]


def test_the_ids_of_effects_say_what_asked_for_them() -> None:
    outcome = of(FAILED, observation("requires_input", 40, "document_expired", "vr_2"))
    assert [effect.id for effect in outcome.effects] == [
        f"{FAILED.event_id}-notify-{NOW}",
        f"evt_vs_1_requires_input_40-notify-{NOW + 1}",
        "evt_vs_1_requires_input_40-cancel",
    ]


def test_at_the_limit_each_open_session_is_canceled_by_an_effect_of_its_own() -> None:
    other = observation("requires_input", 5, session="vs_2", name="created")
    outcome = of(other, FAILED, observation("requires_input", 40, "document_expired", "vr_2"))
    cancels = [effect for effect in outcome.effects if effect.kind == "cancel"]
    assert {effect.session_id: effect.id for effect in cancels} == {
        "vs_1": "evt_vs_1_requires_input_40-cancel",
        "vs_2": "evt_vs_1_requires_input_40-cancel-vs_2",
    }


def test_an_answers_notification_is_named_by_reference_and_version() -> None:
    outcome = of(answer("verified", 10))
    notify = next(effect for effect in outcome.effects if effect.kind == "notify")
    assert notify.id == f"vs_1-10-verified-notify-{USER_1.digest[:16]}-{NOW}"


def test_without_a_policy_nothing_is_asked_for() -> None:
    outcome = reconcile(Known(), [FAILED, VERIFIED], policy=None, now=NOW)
    assert outcome.effects == ()
    assert outcome.standings[USER_1].status == "verified"


def test_a_notification_alone_says_whom_it_is_about_and_by_a_digest() -> None:
    outcome = of(observation("processing", 10))
    assert {effect.kind: effect.reference_key for effect in outcome.effects} == {
        "notify": USER_1.digest,
        "recheck": None,
    }
