"""An operation is carried out: in chunks, at its rate, and until it is stopped."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.operations.bulk import run as module
from app.operations.bulk.selection import LetterSet
from app.operations.bulk.start import stop_operation
from app.operations.dlq import replay as replay_module
from app.operations.show_reference import as_json
from tests.operations.bulk.carrying import Hands, bury, row
from tests.operations.bulk.starting import EVENTS, meant, started
from tests.support.deployment import Deployment, letter
from tests.support.ledger import count_events
from tests.support.places import counts, queued
from tests.support.workers import NOW


def test_without_an_operation_nothing_is_done(deployment: Deployment) -> None:
    bury(deployment, 1)
    assert Hands(deployment).carrier.run_once() is None
    assert deployment.dead == {"evt_0"}


@pytest.mark.usefixtures("chunks_of_ten")
def test_all_letters_are_replayed_and_the_row_says_so(deployment: Deployment) -> None:
    bury(deployment, 25)
    operation = started(deployment)
    ended = Hands(deployment).run()
    assert (ended.state, ended.done, ended.failed, ended.gone) == ("done", 25, 0, 0)
    assert row(deployment, operation) == ended
    assert ended.ended_at is not None
    assert deployment.dead == set()
    assert count_events(deployment.stores.engine) == 25


def test_what_dies_again_is_counted_and_not_replayed_again(deployment: Deployment) -> None:
    deployment.bury(
        letter("evt_1"), *(replace(letter(f"evt_x{n}"), payload={"n": n}) for n in range(3))
    )
    started(deployment)
    ended = Hands(deployment).run()
    assert (ended.state, ended.done, ended.failed) == ("done", 4, 3)
    assert len(deployment.dead) == 3


def test_what_has_died_since_the_start_is_left_dead(deployment: Deployment) -> None:
    bury(deployment, 2)
    started(deployment)
    deployment.bury(letter("evt_new"))
    assert Hands(deployment).run().done == 2
    assert deployment.dead == {"evt_new"}


def test_what_somebody_else_has_taken_is_counted_as_gone(deployment: Deployment) -> None:
    bury(deployment, 5)
    started(deployment)
    deployment.events.discard(["evt_1", "evt_3"])
    ended = Hands(deployment).run()
    assert (ended.state, ended.done, ended.gone) == ("done", 3, 2)


@pytest.mark.usefixtures("chunks_of_ten")
def test_only_what_was_chosen_is_replayed(deployment: Deployment) -> None:
    bury(deployment, 15)
    deployment.bury(*(letter(f"evt_s{n}") for n in range(12)), reason="timed_out")
    started(deployment, meant(reason="timed_out"))
    assert Hands(deployment).run().done == 12
    assert deployment.dead == {f"evt_{n}" for n in range(15)}
    started(deployment, LetterSet("events", ids=("evt_3", "evt_5")))
    assert Hands(deployment).run().done == 2
    assert len(deployment.dead) == 13


@pytest.mark.usefixtures("chunks_of_ten")
def test_a_discard_leaves_the_reason_in_the_timeline(deployment: Deployment) -> None:
    deployment.apply(letter("evt_a", "verified", "user-1"))
    bury(deployment, 12)
    started(deployment, kind="discard", reason="sent by a test")
    ended = Hands(deployment).run()
    assert (ended.state, ended.done) == ("done", 12)
    assert deployment.dead == set()
    assert queued(deployment.redis) == []
    line = as_json(deployment.record("user-1"))["timeline"][-1]
    assert (line["cause"], line["note"]) == ("discarded", "sent by a test")


def test_effects_are_replayed_as_well(deployment: Deployment) -> None:
    deployment.bury_effect()
    started(deployment, LetterSet("effects"))
    hands = Hands(deployment)
    effects = deployment.stores.effects

    def work() -> None:
        for job in effects.claim("other", 60, 10):
            effects.complete("other", [job.id])

    hands.meanwhile = work
    ended = hands.run()
    assert (ended.state, ended.done, ended.failed) == ("done", 1, 0)


@pytest.mark.parametrize("kind", ["replay", "discard"])
@pytest.mark.parametrize("rate", [0.5, 1.0, 7.0])
def test_the_rate_is_kept(deployment: Deployment, kind: Any, rate: float) -> None:
    bury(deployment, 15)
    operation = started(deployment, kind=kind, rate=rate)
    hands = Hands(deployment)
    work = hands.meanwhile
    seen: list[tuple[float, int]] = []

    def meanwhile() -> None:
        work()
        seen.append((hands.seconds, row(deployment, operation).done))

    hands.meanwhile = meanwhile
    assert hands.run().done == 15
    assert all(done <= rate * at + max(1, rate) for at, done in seen)
    assert hands.seconds < 15 / rate + 3


@pytest.mark.usefixtures("chunks_of_ten")
def test_it_stops_between_two_chunks_and_what_was_put_back_goes_on(deployment: Deployment) -> None:
    bury(deployment, 30)
    operation = started(deployment, rate=10.0)
    hands = Hands(deployment)

    def meanwhile() -> None:
        if row(deployment, operation).done >= 10 and row(deployment, operation).state == "running":
            stop_operation(deployment.stores, operation.id, NOW)

    hands.also(meanwhile)
    ended = hands.run()
    assert (ended.state, ended.done, ended.gone) == ("stopped", 10, 0)
    assert len(deployment.dead) == 20
    assert row(deployment, operation).ended_at is not None


def test_it_stops_at_once_while_it_waits_for_outcomes(deployment: Deployment) -> None:
    bury(deployment, 3)
    operation = started(deployment)
    hands = Hands(deployment)
    hands.meanwhile = lambda: (
        stop_operation(deployment.stores, operation.id, NOW) if hands.seconds > 5 else None
    )
    ended = hands.run()
    assert (ended.state, ended.done) == ("stopped", 3)
    assert hands.seconds < 8
    assert len(queued(deployment.redis)) == 3


def test_one_that_nobody_carries_out_is_stopped_without_doing_anything(
    deployment: Deployment,
) -> None:
    bury(deployment, 3)
    operation = started(deployment)
    assert stop_operation(deployment.stores, operation.id, NOW).state == "stopped"
    assert Hands(deployment).carrier.run_once() is None
    assert len(deployment.dead) == 3


def test_a_full_queue_is_emptied_first(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_OUTSTANDING", 5)
    bury(deployment, 3)
    deployment.events.enqueue_all([letter(f"evt_q{n}") for n in range(6)])
    operation = started(deployment)
    hands = Hands(deployment)
    work = hands.meanwhile
    notes: set[str] = set()

    def meanwhile() -> None:
        notes.add(row(deployment, operation).note)
        if hands.seconds > 3:
            work()
        else:
            assert len(deployment.dead) == 3

    hands.meanwhile = meanwhile
    assert hands.run().done == 3
    assert module.CROWDED in notes


def test_that_no_worker_runs_is_told_and_no_more_is_put_back(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MAX_OUTSTANDING", "BATCH_SIZE"):
        monkeypatch.setattr(replay_module, name, 10)
    monkeypatch.setattr(module, "MAX_OUTSTANDING", 10)
    monkeypatch.setattr(module, "CHUNK", {"replay": 10})
    bury(deployment, 30)
    operation = started(deployment)
    hands = Hands(deployment)
    work = hands.meanwhile
    notes: list[str] = []

    def meanwhile() -> None:
        notes.append(row(deployment, operation).note)
        assert counts(deployment.events)["queued"] <= 10
        if hands.seconds > 200:
            work()

    hands.meanwhile = meanwhile
    assert hands.run().done == 30
    assert module.NO_WORKER in notes


def test_no_more_is_done_than_was_agreed_to(deployment: Deployment) -> None:
    """RQ's tools bury without our scripts: at places where nothing of ours can be."""
    bury(deployment, 3)
    started(deployment)
    deployment.bury(letter("evt_rq1"), letter("evt_rq2"))
    deployment.redis.zadd("rq:failed:identity-events", {"evt_rq1": 1e12, "evt_rq2": 1e12})
    ended = Hands(deployment).run()
    assert (ended.state, ended.done) == ("done", 3)
    assert deployment.dead == {"evt_rq1", "evt_rq2"}


def test_every_operation_is_carried_out_in_its_turn(deployment: Deployment) -> None:
    bury(deployment, 4)
    for ids in (("evt_0",), ("evt_1", "evt_2")):
        started(deployment, LetterSet("events", ids=ids))
    hands = Hands(deployment)
    assert {hands.run().done, hands.run().done} == {1, 2}
    assert hands.carrier.run_once() is None
    assert deployment.dead == {"evt_3"}
    assert started(deployment, EVENTS).total == 1
