"""Replay: what is put back, how fast, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from app.domain.errors import Permanent, Transient
from app.ledger.engine import open_engine
from app.ledger.ledger import Ledger
from app.operations import replay as module
from app.operations.replay import Replay, Replayed
from tests.operations.letters import House, letter
from tests.queue.places import queued
from workers.worker import Worker


class Time:
    """A clock that passes while one sleeps; what happens meanwhile is `meanwhile`."""

    def __init__(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        self.now = 0.0
        self.meanwhile = meanwhile

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.meanwhile()


def replaying(house: House, rate: float | None = None) -> tuple[Replay, Time]:
    """A replay while which a worker works."""
    time = Time(house.worker().run_once)
    return Replay(house.events, house.ledger, rate=rate, clock=time, sleep=time.sleep), time


def settling(house: House) -> Callable[[], None]:
    """A worker that only says that it is done."""

    def work() -> None:
        while claimed := house.events.claim("fast", 60, 1000):
            house.events.settle("fast", [job.id for job in claimed])

    return work


def replay(house: House, rate: float | None = None) -> Replayed:
    """What comes of replaying all."""
    return replaying(house, rate)[0].run(house.letters)


def test_what_comes_of_each_letter_is_told(house: House) -> None:
    house.apply(letter("evt_0", "verified", "old", at=50))
    house.bury(
        letter("evt_1", reference="a"),
        letter("evt_2", reference="b"),
        letter("evt_3", "processing", "old", at=10),  # the ledger stands beyond it
        letter("evt_0", "verified", "old", at=50),  # the ledger has it
        replace(letter("evt_4"), payload={"of": "another version"}),
    )
    assert replay(house) == Replayed(replayed=5, applied=2, unchanged=2, failed_again=1)
    assert house.dead == {"evt_4"}
    assert house.standing("a") == ("verified", 1)


def test_replaying_never_takes_a_newer_standing_back(house: House) -> None:
    house.apply(letter("evt_9", "verified", at=90))
    house.bury(
        letter("evt_1", "requires_input", at=10),
        letter("evt_2", "processing", at=20),
        letter("evt_3", "canceled", at=80),
    )
    assert replay(house).failed_again == 0
    assert house.standing("user-1") == ("verified", 1)


def test_a_letter_that_time_mends_is_told_as_tried_again_later(house: House) -> None:
    house.bury(letter("evt_1"))
    run, time = replaying(house)
    worker: Worker = house.worker()

    def raises(function: str, arguments: object) -> None:
        raise Transient("not now")

    worker._call = raises
    time.meanwhile = worker.run_once
    assert run.run(house.letters) == Replayed(replayed=1, deferred=1)


def test_effects_are_done_or_not_and_change_no_standing(house: House) -> None:
    house.bury_effect()
    letters = type(house.letters)(house.redis, house.context.effects.queue)
    effects = house.context.effects

    def work() -> None:
        for job in effects.claim("other", 60, 10):
            effects.settle("other", [job.id])

    time = Time(work)
    found = Replay(effects, house.ledger, clock=time, sleep=time.sleep).run(letters)
    assert found == Replayed(replayed=1, applied=1)


@pytest.mark.parametrize("rate", [0.5, 1, 7, 30, 250])
def test_the_rate_is_never_exceeded(house: House, rate: float) -> None:
    number = max(3, int(rate * 2.5))
    house.bury(*(letter(f"evt_{n}") for n in range(number)))
    put_back: list[tuple[float, int]] = []
    run, time = replaying(house, rate)
    time.meanwhile = settling(house)
    run.tell = lambda so_far: put_back.append((time.now, so_far.replayed))
    run.run(house.letters)
    # At any moment no more than the rate allows, but for what a first second brings at once.
    assert all(count <= rate * at + max(1, rate) for at, count in put_back)
    assert time.now >= (number - max(1, rate)) / rate
    assert run.so_far.applied + run.so_far.unchanged == number


def test_a_rate_is_not_a_wait_for_each_letter(house: House) -> None:
    house.bury(*(letter(f"evt_{n}") for n in range(100)))
    run, time = replaying(house, 100)
    time.meanwhile = settling(house)
    run.run(house.letters)
    assert time.now < 3


def test_time_lost_to_slow_workers_is_not_made_up_for(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "OUTSTANDING", 10)
    house.bury(*(letter(f"evt_{n}") for n in range(60)))
    run, time = replaying(house, 10)
    work = settling(house)
    time.meanwhile = lambda: work() if time.now > 30 else None
    late: list[tuple[float, int]] = []
    run.tell = lambda so_far: late.append((time.now - 30, so_far.replayed - 10))
    assert run.run(house.letters).replayed == 60
    assert all(count <= 10 * at + 10 for at, count in late if at > 0)


def test_progress_is_told_while_the_rate_holds_it_back(house: House) -> None:
    house.bury(*(letter(f"evt_{n}") for n in range(5)))
    run, time = replaying(house, 1)
    time.meanwhile = settling(house)
    ended: list[int] = []
    run.tell = lambda so_far: ended.append(so_far.unchanged)
    run.run(house.letters)
    assert ended[:5] == [0, 0, 1, 2, 3]


def test_no_more_than_a_thousand_are_under_way_at_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "OUTSTANDING", 30)
    monkeypatch.setattr(module, "AT_ONCE", 10)
    house.bury(*(letter(f"evt_{n}") for n in range(100)))
    run, time = replaying(house)
    time.meanwhile = settling(house)
    most = 0

    def tell(so_far: Replayed) -> None:
        nonlocal most
        most = max(most, house.events.counts()["queued"])

    run.tell = tell
    assert run.run(house.letters).replayed == 100
    assert 10 <= most <= 30


def test_without_a_worker_the_rest_is_left_dead(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "OUTSTANDING", 20)
    monkeypatch.setattr(module, "AT_ONCE", 10)
    house.bury(*(letter(f"evt_{n}") for n in range(50)))
    time = Time()
    found = Replay(house.events, house.ledger, clock=time, sleep=time.sleep).run(house.letters)
    assert found == Replayed(replayed=20, waiting=20, stalled=True)
    assert len(house.dead) == 30
    # One wait, not one for each batch.
    assert module.STALLED <= time.now < 2 * module.STALLED


def test_a_worker_that_is_slow_is_waited_for(house: House) -> None:
    house.bury(*(letter(f"evt_{n}") for n in range(3)))
    events = house.events
    time = Time()

    def slow() -> None:
        if time.now % 50 < 0.2:  # within the minute that tells a worker from none
            for job in events.claim("slow", 600, 1):
                events.settle("slow", [job.id])

    time.meanwhile = slow
    found = Replay(events, house.ledger, clock=time, sleep=time.sleep).run(house.letters)
    assert (found.replayed, found.unchanged, found.stalled) == (3, 3, False)


def test_what_someone_else_has_taken_meanwhile_is_not_counted(house: House) -> None:
    house.bury(*(letter(f"evt_{n}", reference=f"user-{n}") for n in (1, 2, 3)))
    letters = list(house.letters)
    house.events.discard(["evt_1"])
    house.events.replay(["evt_2"])
    run, _ = replaying(house)
    assert run.run(letters) == Replayed(replayed=1, applied=1)
    assert queued(house.redis) == []


def test_broken_off_it_says_how_far_it_came_and_the_next_run_takes_the_rest(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 10)
    house.bury(*(letter(f"evt_{n}", reference=f"user-{n}") for n in range(30)))
    run, time = replaying(house, 10)

    def break_off() -> None:
        if time.now > 0.9:
            raise KeyboardInterrupt

    time.meanwhile = break_off
    with pytest.raises(KeyboardInterrupt):
        run.run(house.letters)
    assert run.so_far == Replayed(replayed=10, waiting=10)
    assert len(house.dead) == 20
    assert len(queued(house.redis)) == 10
    assert replay(house) == Replayed(replayed=20, applied=20)
    house.worker().run_once()
    assert house.ledger.count_events() == 30
    assert replay(house) == Replayed()


def test_a_letter_that_dies_again_is_not_replayed_again_by_the_same_run(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 1)
    monkeypatch.setattr("app.queue.dead_letters.PAGE", 2)
    house.bury(*(replace(letter(f"evt_{n}"), payload={"n": n}) for n in range(7)))
    run, _ = replaying(house, 1)
    assert run.run(house.letters) == Replayed(replayed=7, failed_again=7)


def test_where_the_ledger_is_away_nothing_is_put_back(house: House) -> None:
    house.bury(letter("evt_1"))
    away = Ledger(open_engine("sqlite:////nowhere/at/all.db"))
    with pytest.raises((Transient, Permanent), match="the ledger"):
        Replay(house.events, away).run(house.letters)
    assert house.dead == {"evt_1"}
