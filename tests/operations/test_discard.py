"""Discard: gone for good, and told in the timeline."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.operations import discard as module
from app.operations.discard import discard
from app.queue.dead_letters import DeadLetters
from app.queue.model import EFFECTS
from tests.operations.letters import House, letter
from workers.clock import EFFECT_OVERDUE, Clock


def test_a_discarded_letter_is_gone_and_its_reference_knows_why(house: House) -> None:
    house.bury(letter("evt_1"), letter("evt_2"))
    chosen = [one for one in house.letters if one.id == "evt_1"]
    assert discard(house.events, house.ledger, chosen, "a test of ours", 1_000) == 1
    assert house.dead == {"evt_2"}
    assert house.redis.exists("rq:job:evt_1") == 0
    (line,) = house.record("user-1").timeline
    assert (line.cause, line.note, line.event_id, line.at) == (
        "discarded",
        "a test of ours",
        "evt_1",
        1_000,
    )


def test_what_was_replayed_meanwhile_is_not_removed(house: House) -> None:
    house.bury(letter("evt_1"))
    letters = list(house.letters)
    house.events.replay(["evt_1"])
    assert discard(house.events, house.ledger, letters, "why", 1) == 0
    assert house.events.counts()["queued"] == 1


@pytest.mark.parametrize("payload", [{}, {"reference": None}, {"of": "another version"}])
def test_a_letter_that_names_nobody_can_be_discarded(house: House, payload: dict[str, str]) -> None:
    house.bury(replace(letter("evt_1"), payload=payload))
    assert discard(house.events, house.ledger, house.letters, "why", 1) == 1
    assert house.dead == set()


def test_more_than_a_batch_is_discarded_while_it_is_read(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 3)
    monkeypatch.setattr("app.queue.dead_letters.PAGE", 4)
    house.bury(*(letter(f"evt_{n}") for n in range(20)))
    assert discard(house.events, house.ledger, house.letters, "why", 1) == 20
    assert len(house.record("user-1").timeline) == 20


def test_a_discarded_effect_does_not_come_back_by_the_clock(house: House) -> None:
    id = house.bury_effect()
    effects = house.context.effects
    letters = DeadLetters(house.redis, EFFECTS)
    assert discard(effects, house.ledger, letters, "too late", 1_000) == 1
    later = house.context.now() + 10 * EFFECT_OVERDUE
    Clock(replace(house.context, now=lambda: later)).queue_effects()
    assert not any(effects.counts().values())
    assert house.ledger.effect_status(id) == "dropped"


def test_an_effect_that_is_still_dead_does_not_come_back_by_the_clock(house: House) -> None:
    house.bury_effect()
    later = house.context.now() + 10 * EFFECT_OVERDUE
    Clock(replace(house.context, now=lambda: later)).queue_effects()
    assert house.context.effects.counts()["failed"] == 1
