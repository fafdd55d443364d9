"""Effects: written with their event, given out once, and found again where they were lost."""

from __future__ import annotations

from dataclasses import replace

from app.domain.durations import HOUR
from app.domain.effects import PendingEffect
from app.domain.standing import ReferenceKey
from app.ledger.ledger import Ledger
from tests.ledger.conftest import Scribe
from tests.support.ledger import NOW, observation


def test_an_effect_carries_what_its_worker_needs(scribe: Scribe) -> None:
    [applied] = scribe.apply(observation("verified", 100))
    assert applied.effects == (
        PendingEffect(
            id=f"evt_1_100_verified-notify-{NOW}",
            kind="notify",
            account="",
            livemode=False,
            session_id="vs_1",
            reference_key=ReferenceKey("", False, "user_1").digest,
            version=NOW,
            due=NOW,
        ),
    )


def test_an_effect_that_waits_is_due_later(scribe: Scribe) -> None:
    [applied] = scribe.apply(observation("processing", 100))
    due = {effect.kind: effect.due for effect in applied.effects}
    assert due == {"notify": NOW, "recheck": NOW + 900}


def test_effects_are_given_out_once(scribe: Scribe) -> None:
    answer = observation("processing", 100, event="")._replace(transition=False)
    first, second = scribe.apply(answer, answer)
    assert [effect.kind for effect in first.effects] == ["notify", "recheck"]
    assert second.effects == ()


def test_effects_never_enqueued_are_found_oldest_first(scribe: Scribe) -> None:
    [applied] = scribe.apply(observation("verified", 100))
    assert scribe.ledger.effects_due_unsent(NOW, 10) == []
    assert scribe.ledger.effects_due_unsent(NOW + 1, 10) == list(applied.effects)


def test_unsent_effects_are_given_up_to_the_limit(scribe: Scribe) -> None:
    for number in range(4):
        scribe.apply(
            observation("verified", 100, session=f"vs_{number}", reference=f"user_{number}")
        )
    assert len(scribe.ledger.effects_due_unsent(NOW + 1, 3)) == 3


def test_what_was_never_queued_comes_before_what_is_overdue(scribe: Scribe) -> None:
    old, new = scribe.apply(
        observation("verified", 100), observation("verified", 100, session="vs_2", reference="u2")
    )
    scribe.ledger.mark_enqueued([effect.id for effect in old.effects], NOW)
    found = scribe.ledger.effects_due_unsent(NOW + 1, 10, overdue=NOW + 1)
    assert found == [*new.effects, *old.effects]
    assert scribe.ledger.effects_due_unsent(NOW + 1, 1, overdue=NOW + 1) == list(new.effects)


def test_an_effect_is_for_the_queue_from_an_hour_before_it_is_due(scribe: Scribe) -> None:
    [applied] = scribe.apply(observation("verified", 100))
    late = replace(applied.effects[0], id="late", due=NOW + 2 * HOUR)
    assert scribe.ledger.add_effects([late], NOW) == [late]
    assert late not in scribe.ledger.effects_due_unsent(NOW + HOUR, 10)
    assert late in scribe.ledger.effects_due_unsent(NOW + HOUR + 1, 10)


def test_a_dead_effect_is_failed_and_pending_again_when_it_is_replayed(scribe: Scribe) -> None:
    [applied] = scribe.apply(observation("verified", 100))
    [effect] = applied.effects
    ledger = scribe.ledger
    assert [ledger.mark_failed([effect.id], NOW) for _ in range(2)] == [1, 0]
    assert ledger.effect_status(effect.id) == "failed"
    assert ledger.effects_due_unsent(NOW + 1, 10, overdue=NOW + 1) == []
    ledger.mark_replayed([effect.id], NOW)
    assert ledger.effect_status(effect.id) == "pending"


def test_what_has_ended_neither_dies_nor_is_replayed(scribe: Scribe) -> None:
    [applied] = scribe.apply(observation("verified", 100))
    [effect] = applied.effects
    scribe.ledger.mark_effects([effect.id], "done", NOW)
    assert scribe.ledger.mark_failed([effect.id], NOW) == 0
    scribe.ledger.mark_replayed([effect.id], NOW)
    assert scribe.ledger.effect_status(effect.id) == "done"


def test_effects_marked_enqueued_are_not_found_again(scribe: Scribe) -> None:
    one, two = scribe.apply(observation("verified", 100), observation("canceled", 110))
    ids = [effect.id for effect in one.effects]
    scribe.ledger.mark_enqueued(ids, NOW)
    scribe.ledger.mark_enqueued([], NOW)
    assert scribe.ledger.effects_due_unsent(NOW + 1, 10) == list(two.effects)
    assert scribe.ledger.effect_status(ids[0]) == "pending"


def test_an_effect_that_ended_is_not_found_again(scribe: Scribe) -> None:
    [applied] = scribe.apply(observation("verified", 100))
    scribe.ledger.mark_effects([applied.effects[0].id], "done", NOW)
    assert scribe.ledger.effect_status(applied.effects[0].id) == "done"
    assert scribe.ledger.effects_due_unsent(NOW + 1, 10) == []


def test_an_effect_never_asked_for_has_no_status(ledger: Ledger) -> None:
    assert ledger.effect_status("evt_none-notify") is None


def test_where_redis_was_lost_pending_effects_are_in_no_queue(scribe: Scribe) -> None:
    applied = scribe.apply(
        *(observation("verified", 100, session=f"vs_{n}", reference=f"user_{n}") for n in range(3))
    )
    rows = [one.effects[0] for one in applied]
    scribe.ledger.mark_enqueued([row.id for row in rows], NOW)
    scribe.ledger.mark_effects([rows[0].id], "done", NOW)
    scribe.ledger.mark_failed([rows[1].id], NOW)
    assert scribe.ledger.effects_due_unsent(NOW + 1, 10) == []
    scribe.ledger.forget_enqueued()
    found = [row.id for row in scribe.ledger.effects_due_unsent(NOW + 1, 10)]
    assert found == sorted(row.id for row in rows[1:])  # the dead letter was lost as well
