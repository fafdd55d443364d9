"""Discard: gone for good, and recorded in the timeline."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.operations.dlq import discard as module
from app.operations.dlq.discard import discard
from app.queue.dead_letters import DeadLetters
from app.queue.model import EFFECTS
from tests.support.deployment import Deployment, letter
from tests.support.places import counts
from workers.clock import EFFECT_OVERDUE, Clock


def test_a_discarded_letter_is_gone_and_its_reference_knows_why(deployment: Deployment) -> None:
    deployment.bury(letter("evt_1"), letter("evt_2"))
    chosen = [one for one in deployment.letters if one.id == "evt_1"]
    assert discard(deployment.events, deployment.ledger, chosen, "a test of ours", 1_000) == 1
    assert deployment.dead == {"evt_2"}
    assert deployment.redis.exists("rq:job:evt_1") == 0
    (line,) = deployment.record("user-1").timeline
    assert (line.cause, line.note, line.event_id, line.at) == (
        "discarded",
        "a test of ours",
        "evt_1",
        1_000,
    )


def test_what_was_replayed_meanwhile_is_not_removed(deployment: Deployment) -> None:
    deployment.bury(letter("evt_1"))
    letters = list(deployment.letters)
    deployment.events.replay(["evt_1"])
    assert discard(deployment.events, deployment.ledger, letters, "why", 1) == 0
    assert counts(deployment.events)["queued"] == 1


@pytest.mark.parametrize("payload", [{}, {"reference": None}, {"of": "another version"}])
def test_a_letter_that_names_nobody_can_be_discarded(
    deployment: Deployment, payload: dict[str, str]
) -> None:
    deployment.bury(replace(letter("evt_1"), payload=payload))
    assert discard(deployment.events, deployment.ledger, deployment.letters, "why", 1) == 1
    assert deployment.dead == set()


def test_more_than_a_batch_is_discarded_while_it_is_read(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_SIZE", 3)
    monkeypatch.setattr("app.queue.registry.PAGE", 4)
    deployment.bury(*(letter(f"evt_{n}") for n in range(20)))
    assert discard(deployment.events, deployment.ledger, deployment.letters, "why", 1) == 20
    assert len(deployment.record("user-1").timeline) == 20


def test_a_discarded_effect_does_not_come_back_by_the_clock(deployment: Deployment) -> None:
    id = deployment.bury_effect()
    effects = deployment.stores.effects
    letters = DeadLetters(deployment.redis, EFFECTS)
    assert discard(effects, deployment.ledger, letters, "too late", 1_000) == 1
    later = deployment.context.now() + 10 * EFFECT_OVERDUE
    Clock(replace(deployment.context, now=lambda: later)).enqueue_effects()
    assert not any(counts(effects).values())
    assert deployment.ledger.effect_status(id) == "dropped"


def test_an_effect_that_is_still_dead_does_not_come_back_by_the_clock(
    deployment: Deployment,
) -> None:
    deployment.bury_effect()
    later = deployment.context.now() + 10 * EFFECT_OVERDUE
    Clock(replace(deployment.context, now=lambda: later)).enqueue_effects()
    assert counts(deployment.stores.effects)["failed"] == 1
