"""Operations are carried out by the clock's process, beside its ticks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from app.ledger.operations import Operation
from app.queue.pausing import pause, resume
from tests.operations.bulk.starting import started
from tests.support.deployment import Deployment, letter
from tests.support.places import queued
from tests.support.waiting import eventually
from tests.support.workers import NOW
from workers.bulk_work import LOOK_INTERVAL
from workers.clock import Clock


@pytest.fixture
def clock(deployment: Deployment) -> Iterator[Clock]:
    """One that has not run yet."""
    clock = Clock(deployment.context, holder="a")
    yield clock
    clock.close()


def row(deployment: Deployment, operation: Operation) -> Operation:
    found = deployment.stores.operations.get(operation.id)
    assert found is not None
    return found


def test_the_clock_begins_it_and_does_not_wait_for_it(deployment: Deployment, clock: Clock) -> None:
    deployment.bury(letter("evt_1"))
    operation = started(deployment)
    with capture_logs() as logs:
        clock.run_once()
        eventually(lambda: queued(deployment.redis) == ["evt_1"])
        clock.run_once()  # a tick, while it waits for what becomes of the letter
        assert not row(deployment, operation).over
        deployment.worker().run_once()
        eventually(lambda: row(deployment, operation).over)
        clock.close()
    found = row(deployment, operation)
    assert (found.state, found.done) == ("done", 1)
    (line,) = [line for line in logs if line["event"] == "operation over"]
    assert (line["operation_id"], line["state"], line["done_count"]) == (operation.id, "done", 1)


def test_one_that_is_started_just_after_a_look_begins_with_the_next_tick(
    deployment: Deployment, clock: Clock
) -> None:
    deployment.bury(letter("evt_1"))
    clock.run_once()
    started(deployment)

    def begun() -> bool:
        clock.run_once()  # the first may find the look before still under way
        return queued(deployment.redis) == ["evt_1"]

    eventually(begun, LOOK_INTERVAL - 1)


def test_a_clock_that_ends_leaves_it_to_another_at_once(
    deployment: Deployment, clock: Clock
) -> None:
    deployment.bury(letter("evt_1"), letter("evt_2"))
    operation = started(deployment, rate=0.1)
    clock.run_once()
    eventually(lambda: len(queued(deployment.redis)) == 1)
    clock.close()
    found = row(deployment, operation)
    assert (found.state, found.done) == ("running", 1)
    assert deployment.stores.operations.claim("b", int(NOW)) is not None


def test_while_the_workers_are_paused_none_begins(deployment: Deployment, clock: Clock) -> None:
    deployment.bury(letter("evt_1"))
    started(deployment)
    pause(deployment.redis, reason="upgrade", by="anna", now=int(NOW))
    clock.run_once()
    clock.close()
    assert deployment.dead == {"evt_1"}
    resume(deployment.redis)
