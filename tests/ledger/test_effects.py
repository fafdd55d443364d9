"""Effects: written with their event, given out once, and found again where they were lost."""

from __future__ import annotations

from dataclasses import replace

from app.domain.effects import PendingEffect
from app.ledger.ledger import Ledger
from tests.ledger.conftest import Scribe
from tests.support.ledger import NOW, observation


def test_an_effect_carries_what_its_worker_needs(scribe: Scribe) -> None:
    [applied] = scribe.apply(observation("verified", 100))
    assert applied.effects == (
        PendingEffect(
            id="evt_1_100_verified-notify",
            kind="notify",
            account="",
            livemode=False,
            session_id="vs_1",
            reference="user_1",
            version=1,
            due=NOW,
        ),
    )


def test_an_effect_that_waits_is_due_later(scribe: Scribe) -> None:
    [applied] = scribe.apply(observation("processing", 100))
    due = {effect.kind: effect.due for effect in applied.effects}
    assert due == {"notify": NOW, "recheck": NOW + 900}


def test_effects_are_given_out_once(scribe: Scribe) -> None:
    answer = replace(observation("processing", 100, event=""), transition=False)
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


def test_effects_marked_enqueued_are_not_found_again(scribe: Scribe) -> None:
    one, two = scribe.apply(observation("verified", 100), observation("canceled", 110))
    ids = [effect.id for effect in one.effects]
    scribe.ledger.mark_enqueued(ids, NOW)
    scribe.ledger.mark_enqueued([], NOW)
    assert scribe.ledger.effects_due_unsent(NOW + 1, 10) == list(two.effects)
    assert scribe.ledger.effect_status(ids[0]) == "pending"


def test_an_effect_that_ended_is_not_found_again(scribe: Scribe) -> None:
    [applied] = scribe.apply(observation("verified", 100))
    scribe.ledger.mark_effect(applied.effects[0].id, "done", NOW)
    assert scribe.ledger.effect_status(applied.effects[0].id) == "done"
    assert scribe.ledger.effects_due_unsent(NOW + 1, 10) == []


def test_an_effect_never_asked_for_has_no_status(ledger: Ledger) -> None:
    assert ledger.effect_status("evt_none-notify") is None


def test_where_redis_was_lost_pending_effects_are_in_no_queue(scribe: Scribe) -> None:
    applied = scribe.apply(
        *(observation("verified", 100, session=f"vs_{n}", reference=f"user_{n}") for n in range(2))
    )
    rows = [one.effects[0] for one in applied]
    scribe.ledger.mark_enqueued([row.id for row in rows], NOW)
    scribe.ledger.mark_effect(rows[0].id, "done", NOW)
    assert scribe.ledger.effects_due_unsent(NOW + 1, 10) == []
    scribe.ledger.forget_enqueued()
    assert [row.id for row in scribe.ledger.effects_due_unsent(NOW + 1, 10)] == [rows[1].id]
