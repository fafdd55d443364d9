"""SIGKILL at each step of an effect: it is done at least once, and never forgotten."""

from __future__ import annotations

import time

import pytest

from app.domain.change import Policy
from app.queue.model import EFFECTS
from tests.faults.scene import (
    AFTER_LEASE,
    DATABASES,
    Scene,
    failed_attempt,
    observation_of,
)
from tests.support.waiting import eventually

# Those of batches are in the usual run: workers are what dies most.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.parametrize("database_url", DATABASES, indirect=True),
]


EFFECT = {
    "before effect": ("the job is rescued when its lease ends, and then done", 1),
    "after effect": ("it is done, and nobody has noted it: done again after the lease", 2),
    "after mark": ("it is noted: the job is rescued when its lease ends, and does nothing", 1),
}


@pytest.mark.parametrize("point", EFFECT)
def test_an_effect_is_done_at_least_once_if_its_worker_dies(scene: Scene, point: str) -> None:
    """See EFFECT for who finds the job, and how often it is done."""
    way, times = EFFECT[point]
    event = failed_attempt()
    scene.order("clock")
    scene.order("worker")
    dying = scene.order("effects", point)
    scene.enqueue(event)
    killed = scene.killable.killed_at(scene.rig.folder, dying)
    scene.order("effects")
    eventually(lambda: scene.rig.counts(EFFECTS)["started"] == 0, 20)
    verdict = scene.judge(event)
    assert time.monotonic() - killed < AFTER_LEASE
    assert not verdict.faults, verdict.faults
    assert verdict.effects == {"cancel done": 1}
    assert scene.stub.cancelled["vs_1"] == times, way


@pytest.mark.parametrize(
    "point",
    [
        # The effect is in the ledger only: the next clock finds it as this one did.
        "before effects",
        # It is in the queue as well: the next clock's enqueue is a duplicate.
        "after effects",
        # It is in the queue and marked: nobody has to find it.
        "after enqueued",
    ],
)
def test_an_effect_is_done_if_the_clock_dies_queueing_it(scene: Scene, point: str) -> None:
    event = failed_attempt()
    (committed,) = scene.rig.ledger.apply(
        [observation_of(event)], policy=Policy(max_attempts=1), now=int(time.time()) - 60
    )
    assert len(committed.effects) == 1
    scene.die("clock", point)
    scene.order("clock")
    scene.order("effects")
    verdict = scene.judge(event)
    assert not verdict.faults, verdict.faults
    assert verdict.effects == {"cancel done": 1}
    assert scene.stub.cancelled["vs_1"] == 1
