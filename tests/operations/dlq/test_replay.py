"""Replay: what is put back, how fast, and what is reported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from unittest.mock import patch

import pytest

from app.domain.errors import Permanent, Transient
from app.ledger.engine import open_engine
from app.ledger.ledger import Ledger
from app.operations.dlq import replay as module
from app.operations.dlq.replay import Replay, ReplayProgress
from tests.support.deployment import Deployment, letter
from tests.support.ledger import count_events
from tests.support.places import counts, queued
from tests.support.workers import NOW
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


def replaying(deployment: Deployment, rate: float | None = None) -> tuple[Replay, Time]:
    """A replay while which a worker works."""
    time = Time(deployment.worker().run_once)
    return Replay(
        deployment.events, deployment.ledger, rate=rate, clock=time, sleep=time.sleep
    ), time


def completing(deployment: Deployment) -> Callable[[], None]:
    """A worker that only says that it is done."""

    def work() -> None:
        while claimed := deployment.events.claim("fast", 60, 1000):
            deployment.events.complete("fast", [job.id for job in claimed])

    return work


def replay(deployment: Deployment, rate: float | None = None) -> ReplayProgress:
    """What comes of replaying all."""
    return replaying(deployment, rate)[0].run(deployment.letters.ids())


def test_the_outcome_of_each_letter_is_reported(deployment: Deployment) -> None:
    deployment.apply(letter("evt_0", "verified", "old", at=50))
    deployment.bury(
        letter("evt_1", reference="a"),
        letter("evt_2", reference="b"),
        letter("evt_3", "processing", "old", at=10),  # the ledger stands beyond it
        letter("evt_0", "verified", "old", at=50),  # the ledger has it
        replace(letter("evt_4"), payload={"of": "another version"}),
    )
    assert replay(deployment) == ReplayProgress(replayed=5, applied=2, unchanged=2, failed_again=1)
    assert deployment.dead == {"evt_4"}
    assert deployment.standing("a") == ("verified", int(NOW))


def test_replaying_never_takes_a_newer_standing_back(deployment: Deployment) -> None:
    deployment.apply(letter("evt_9", "verified", at=90))
    deployment.bury(
        letter("evt_1", "requires_input", at=10),
        letter("evt_2", "processing", at=20),
        letter("evt_3", "canceled", at=80),
    )
    assert replay(deployment).failed_again == 0
    assert deployment.standing("user-1") == ("verified", int(NOW))


def test_a_letter_with_a_transient_failure_is_reported_as_tried_again_later(
    deployment: Deployment,
) -> None:
    deployment.bury(letter("evt_1"))
    run, time = replaying(deployment)
    worker: Worker = deployment.worker()

    def raises(calls: object) -> None:
        raise Transient("not now")

    worker._run_calls = raises
    time.meanwhile = worker.run_once
    assert run.run(deployment.letters.ids()) == ReplayProgress(replayed=1, deferred=1)


def test_outcomes_behind_letters_that_a_slow_worker_holds_are_counted(
    deployment: Deployment,
) -> None:
    deployment.bury(*[letter(f"evt_{n}") for n in range(150)])
    told: list[int] = []
    slow: list[str] = []

    def work() -> None:
        if slow:
            deployment.events.complete("slow", slow)
            return
        slow.extend(job.id for job in deployment.events.claim("slow", 60, 100))
        completing(deployment)()

    time = Time(work)
    run = Replay(
        deployment.events,
        deployment.ledger,
        clock=time,
        sleep=time.sleep,
        report=lambda so_far: told.append(so_far.unchanged),
    )
    assert run.run(deployment.letters.ids()) == ReplayProgress(replayed=150, unchanged=150)
    assert told[-2:] == [50, 150]


def asked_of(deployment: Deployment, work: Callable[[], None]) -> list[int]:
    """Of how many jobs a replay of all letters asks, call by call, while a worker does `work`."""
    statuses, asked = deployment.events.statuses, list[int]()

    def count(ids: Sequence[str]) -> dict[str, str | None]:
        asked.append(len(ids))
        return statuses(ids)

    time = Time(work)
    with patch.object(deployment.events, "statuses", count):
        Replay(deployment.events, deployment.ledger, clock=time, sleep=time.sleep).run(
            deployment.letters.ids()
        )
    return asked


def test_of_letters_that_wait_behind_others_nothing_is_asked(deployment: Deployment) -> None:
    deployment.bury(*[letter(f"evt_{n}") for n in range(300)])
    put_back, first_look, second_look = [100] * 3, [100], [100] * 3
    asked = asked_of(deployment, completing(deployment))
    assert asked == put_back + first_look + second_look


def test_behind_letters_that_are_worked_on_none_is_asked_of_while_others_end(
    deployment: Deployment,
) -> None:
    deployment.bury(*[letter(f"evt_{n}") for n in range(400)])
    events, held = deployment.events, list[str]()

    def work() -> None:
        """Two batches at a time: the first ends, the second at the next turn."""
        events.complete("second", held)
        events.complete("first", [job.id for job in events.claim("first", 60, 100)])
        held[:] = [job.id for job in events.claim("second", 60, 100)]

    put_back, all_queued = [100] * 4, [100]
    one_ended, two_ended, last_ended = [100] * 2, [100] * 3, [100]
    asked = asked_of(deployment, work)
    assert asked == put_back + all_queued + one_ended + two_ended + last_ended


def test_a_replayed_effect_is_pending_in_the_ledger_before_a_worker_can_have_it(
    deployment: Deployment,
) -> None:
    id = deployment.bury_effect()
    effects, ledger = deployment.stores.effects, deployment.ledger
    assert ledger.mark_failed([id], int(NOW)) == 1
    seen = []

    def meanwhile() -> None:
        seen.append(ledger.effect_status(id))
        for job in effects.claim("other", 60, 10):
            effects.complete("other", [job.id])

    time = Time(meanwhile)
    run = Replay(effects, ledger, clock=time, sleep=time.sleep)
    run.run(deployment.stores.dead_letters("effects").ids())
    assert seen[0] == "pending"


def test_effects_are_done_or_not_and_change_no_standing(deployment: Deployment) -> None:
    deployment.bury_effect()
    letters = deployment.stores.dead_letters("effects").ids()
    effects = deployment.stores.effects

    def work() -> None:
        for job in effects.claim("other", 60, 10):
            effects.complete("other", [job.id])

    time = Time(work)
    found = Replay(effects, deployment.ledger, clock=time, sleep=time.sleep).run(letters)
    assert found == ReplayProgress(replayed=1, applied=1)


@pytest.mark.parametrize("rate", [0.5, 1, 7, 30, 250])
def test_the_rate_is_never_exceeded(deployment: Deployment, rate: float) -> None:
    number = max(3, int(rate * 2.5))
    deployment.bury(*(letter(f"evt_{n}") for n in range(number)))
    put_back: list[tuple[float, int]] = []
    run, time = replaying(deployment, rate)
    time.meanwhile = completing(deployment)
    run.report = lambda so_far: put_back.append((time.now, so_far.replayed))
    run.run(deployment.letters.ids())
    # At any moment no more than the rate allows, but for what a first second brings at once.
    assert all(count <= rate * at + max(1, rate) for at, count in put_back)
    assert time.now >= (number - max(1, rate)) / rate
    assert run.so_far.applied + run.so_far.unchanged == number


def test_a_rate_is_not_a_wait_for_each_letter(deployment: Deployment) -> None:
    deployment.bury(*(letter(f"evt_{n}") for n in range(100)))
    run, time = replaying(deployment, 100)
    time.meanwhile = completing(deployment)
    run.run(deployment.letters.ids())
    assert time.now < 3


def test_time_lost_to_slow_workers_is_not_made_up_for(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_OUTSTANDING", 10)
    deployment.bury(*(letter(f"evt_{n}") for n in range(60)))
    run, time = replaying(deployment, 10)
    work = completing(deployment)
    time.meanwhile = lambda: work() if time.now > 30 else None
    late: list[tuple[float, int]] = []
    run.report = lambda so_far: late.append((time.now - 30, so_far.replayed - 10))
    assert run.run(deployment.letters.ids()).replayed == 60
    assert all(count <= 10 * at + 10 for at, count in late if at > 0)


def test_progress_is_reported_while_the_rate_holds_it_back(deployment: Deployment) -> None:
    deployment.bury(*(letter(f"evt_{n}") for n in range(5)))
    run, time = replaying(deployment, 1)
    time.meanwhile = completing(deployment)
    ended: list[int] = []
    run.report = lambda so_far: ended.append(so_far.unchanged)
    run.run(deployment.letters.ids())
    assert ended[:5] == [0, 0, 1, 2, 3]


def test_no_more_than_a_thousand_are_under_way_at_once(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_OUTSTANDING", 30)
    monkeypatch.setattr(module, "BATCH_SIZE", 10)
    deployment.bury(*(letter(f"evt_{n}") for n in range(100)))
    run, time = replaying(deployment)
    time.meanwhile = completing(deployment)
    most = 0

    def report(so_far: ReplayProgress) -> None:
        nonlocal most
        most = max(most, counts(deployment.events)["queued"])

    run.report = report
    assert run.run(deployment.letters.ids()).replayed == 100
    assert 10 <= most <= 30


def test_without_a_worker_the_rest_is_left_dead(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_OUTSTANDING", 20)
    monkeypatch.setattr(module, "BATCH_SIZE", 10)
    deployment.bury(*(letter(f"evt_{n}") for n in range(50)))
    time = Time()
    found = Replay(deployment.events, deployment.ledger, clock=time, sleep=time.sleep).run(
        deployment.letters.ids()
    )
    assert found == ReplayProgress(replayed=20, waiting=20, stalled=True)
    assert len(deployment.dead) == 30
    # One wait, not one for each batch.
    assert module.STALL_TIMEOUT <= time.now < 2 * module.STALL_TIMEOUT


def test_a_worker_that_is_slow_is_waited_for(deployment: Deployment) -> None:
    deployment.bury(*(letter(f"evt_{n}") for n in range(3)))
    events = deployment.events
    time = Time()

    def slow() -> None:
        if time.now % 50 < 0.2:  # within the minute after which no worker seems to run
            for job in events.claim("slow", 600, 1):
                events.complete("slow", [job.id])

    time.meanwhile = slow
    found = Replay(events, deployment.ledger, clock=time, sleep=time.sleep).run(
        deployment.letters.ids()
    )
    assert (found.replayed, found.unchanged, found.stalled) == (3, 3, False)


def test_what_someone_else_has_taken_meanwhile_is_not_counted(deployment: Deployment) -> None:
    deployment.bury(*(letter(f"evt_{n}", reference=f"user-{n}") for n in (1, 2, 3)))
    letters = list(deployment.letters.ids())
    deployment.events.discard(["evt_1"])
    deployment.events.replay(["evt_2"])
    run, _ = replaying(deployment)
    assert run.run(letters) == ReplayProgress(replayed=1, applied=1)
    assert queued(deployment.redis) == []


def test_interrupted_it_says_how_far_it_came_and_the_next_run_takes_the_rest(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_SIZE", 10)
    deployment.bury(*(letter(f"evt_{n}", reference=f"user-{n}") for n in range(30)))
    run, time = replaying(deployment, 10)

    def break_off() -> None:
        if time.now > 0.9:
            raise KeyboardInterrupt

    time.meanwhile = break_off
    with pytest.raises(KeyboardInterrupt):
        run.run(deployment.letters.ids())
    assert run.so_far == ReplayProgress(replayed=10, waiting=10)
    assert len(deployment.dead) == 20
    assert len(queued(deployment.redis)) == 10
    assert replay(deployment) == ReplayProgress(replayed=20, applied=20)
    deployment.worker().run_once()
    assert count_events(deployment.stores.engine) == 30
    assert replay(deployment) == ReplayProgress()


def test_a_letter_that_dies_again_is_not_replayed_again_by_the_same_run(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_SIZE", 1)
    monkeypatch.setattr("app.queue.registry.PAGE", 2)
    deployment.bury(*(replace(letter(f"evt_{n}"), payload={"n": n}) for n in range(7)))
    run, _ = replaying(deployment, 1)
    assert run.run(deployment.letters.ids()) == ReplayProgress(replayed=7, failed_again=7)


def test_if_the_ledger_is_away_nothing_is_put_back(deployment: Deployment) -> None:
    deployment.bury(letter("evt_1"))
    away = Ledger(open_engine("sqlite:////nowhere/at/all.db"))
    with pytest.raises((Transient, Permanent), match="SQLITE_CANTOPEN"):
        Replay(deployment.events, away).run(deployment.letters.ids())
    assert deployment.dead == {"evt_1"}


def test_ctrl_c_before_the_answer_to_what_was_put_back_counts_it(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment.bury(*(letter(f"evt_{n}", reference=f"user-{n}") for n in range(5)))
    answered = deployment.events.replay

    def broken_off(ids: Sequence[str]) -> int:
        answered(ids)
        raise KeyboardInterrupt

    monkeypatch.setattr(deployment.events, "replay", broken_off)
    run, _ = replaying(deployment, rate=2)
    with pytest.raises(KeyboardInterrupt):
        run.run(deployment.letters.ids())
    assert len(queued(deployment.redis)) == 2
    assert (run.so_far.replayed, run.so_far.waiting) == (2, 2)
