"""What one process leaves, whatever ended it, another carries out: no letter is done twice."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.errors import QueueUnavailable
from app.domain.standing import ReferenceKey
from app.ledger.engine import LedgerBroken
from app.ledger.forgetting import forget_person
from app.ledger.operations import LEASE
from app.operations.bulk import run as module
from app.queue.pausing import pause, resume
from tests.operations.bulk.carrying import Hands, bury, row
from tests.operations.bulk.starting import meant, started
from tests.support.deployment import Deployment
from tests.support.ledger import count_events
from tests.support.workers import NOW


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


def test_one_whose_user_was_forgotten_fails_and_takes_nobody_elses_letters(
    deployment: Deployment,
) -> None:
    bury(deployment, 3)
    started(deployment, meant(reference="user-1"))
    forget_person(deployment.stores.engine, ReferenceKey("", False, "user-1"), int(NOW))
    ended = Hands(deployment).run()
    assert (ended.state, "forgotten" in ended.note) == ("failed", True)
    assert len(deployment.dead) == 3
