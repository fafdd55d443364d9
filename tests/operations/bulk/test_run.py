"""An operation is carried out: in chunks, at its rate, by whoever is there, until it is stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from app.domain.errors import QueueUnavailable
from app.ledger.engine import LedgerBroken
from app.ledger.operations import LEASE, Operation
from app.operations import bulk_run as module
from app.operations.bulk_run import Carrier
from app.operations.bulk_selection import LetterSet
from app.operations.bulk_start import stop_operation
from app.operations.dlq import replay as replay_module
from app.operations.show_reference import as_json
from app.queue.pausing import pause, resume
from tests.operations.bulk.starting import EVENTS, meant, started
from tests.support.deployment import Deployment, letter
from tests.support.ledger import count_events
from tests.support.places import counts, queued
from tests.support.workers import NOW


class Hands:
    """A carrier whose time passes while it waits; `meanwhile` is what happens then."""

    def __init__(self, deployment: Deployment, holder: str = "a", late: float = 0) -> None:
        self.seconds = late
        self.ending = False
        worker = deployment.worker()
        self.meanwhile: Callable[[], object] = worker.run_once
        self.carrier = Carrier(
            deployment.stores,
            holder,
            now=lambda: NOW + self.seconds,
            clock=lambda: self.seconds,
            wait=self._wait,
        )

    def also(self, happens: Callable[[], object]) -> None:
        """The same meanwhile, and this after it."""
        before = self.meanwhile

        def both() -> None:
            before()
            happens()

        self.meanwhile = both

    def _wait(self, seconds: float) -> bool:
        self.seconds += seconds
        self.meanwhile()
        return self.ending

    def run(self) -> Operation:
        found = self.carrier.run_once()
        assert found is not None
        return found


@pytest.fixture
def chunks_of_ten(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few letters are several chunks."""
    monkeypatch.setattr(module, "CHUNK", {"replay": 10, "discard": 10})


def bury(deployment: Deployment, number: int) -> None:
    deployment.bury(*(letter(f"evt_{n}", reference=f"user-{n}") for n in range(number)))


def row(deployment: Deployment, operation: Operation) -> Operation:
    found = deployment.stores.operations.get(operation.id)
    assert found is not None
    return found


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
    stop_operation(deployment.stores, operation.id, NOW)
    assert (Hands(deployment).run().state, len(deployment.dead)) == ("stopped", 3)


@pytest.mark.usefixtures("chunks_of_ten")
def test_a_process_that_ends_leaves_it_to_the_next_at_once(deployment: Deployment) -> None:
    bury(deployment, 30)
    operation = started(deployment, rate=10.0)
    first = Hands(deployment)

    def end() -> None:
        first.ending = row(deployment, operation).done >= 10

    first.also(end)
    left = first.run()
    assert (left.state, left.over) == ("running", False)
    ended = Hands(deployment, "b", late=first.seconds).run()
    assert (ended.state, ended.done, ended.gone) == ("done", 30, 0)
    assert count_events(deployment.stores.engine) == 30


@pytest.mark.usefixtures("chunks_of_ten")
@pytest.mark.parametrize("kind", ["replay", "discard"])
@pytest.mark.parametrize("after", [0, 4, 10])
def test_what_a_process_did_before_it_was_killed_is_counted_and_done_once(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, kind: Any, after: int
) -> None:
    """It dies in its second chunk, when so many of its letters are done."""
    bury(deployment, 30)
    operation = started(deployment, kind=kind)
    transition = getattr(deployment.events, kind)
    calls: list[int] = []

    class Killed(BaseException):
        """As SIGKILL: nothing is written after it."""

    def killed(ids: list[str]) -> int:
        calls.append(len(ids))
        if len(calls) == 2:
            transition(ids[:after])
            raise Killed
        return int(transition(ids))

    with monkeypatch.context() as patch:
        patch.setattr(deployment.events, kind, killed)
        with pytest.raises(Killed):
            Hands(deployment).run()
    assert row(deployment, operation).done == 10
    assert Hands(deployment, "b").carrier.run_once() is None  # its lease is not over
    ended = Hands(deployment, "b", late=LEASE + 1).run()
    assert (ended.state, ended.done, ended.gone) == ("done", 30, 0)
    assert deployment.dead == set()


def test_whose_lease_was_taken_writes_nothing_more(deployment: Deployment) -> None:
    bury(deployment, 3)
    operation = started(deployment)
    hands = Hands(deployment)

    def taken() -> None:
        if hands.seconds < 2:
            deployment.stores.operations.claim("b", int(NOW) + LEASE + 10)

    hands.meanwhile = taken
    assert not hands.run().over
    assert row(deployment, operation).state == "running"
    ended = Hands(deployment, "c", late=3 * LEASE).run()
    assert (ended.state, ended.done) == ("done", 3)


def test_while_the_workers_are_paused_it_is_left(deployment: Deployment) -> None:
    bury(deployment, 3)
    operation = started(deployment)
    hands = Hands(deployment)
    hands.meanwhile = lambda: pause(deployment.redis, reason="upgrade", by="anna", now=int(NOW))
    assert not hands.run().over
    assert row(deployment, operation).note == module.PAUSED
    resume(deployment.redis)
    ended = Hands(deployment, "b", late=hands.seconds).run()
    assert (ended.state, ended.done, ended.note) == ("done", 3, "")


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


def test_while_redis_is_away_it_waits_and_says_why(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    bury(deployment, 3)
    operation = started(deployment)

    def away(ids: list[str]) -> int:
        raise QueueUnavailable("Redis at 127.0.0.1 is away")

    with monkeypatch.context() as patch:
        patch.setattr(deployment.events, "replay", away)
        with pytest.raises(QueueUnavailable):
            Hands(deployment).run()
    assert row(deployment, operation).note == "Redis at 127.0.0.1 is away"
    ended = Hands(deployment, "b").run()
    assert (ended.state, ended.done) == ("done", 3)


def test_what_does_not_pass_with_time_ends_it_with_a_line(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    bury(deployment, 3)
    started(deployment, kind="discard")

    def broken(*arguments: Any) -> None:
        raise LedgerBroken("the ledger refuses a statement")

    monkeypatch.setattr(deployment.ledger, "record_discarded", broken)
    ended = Hands(deployment).run()
    assert (ended.state, ended.note) == ("failed", "the ledger refuses a statement")
    assert len(deployment.dead) == 3


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
