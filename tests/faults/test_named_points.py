"""SIGKILL at each step of a worker and a clock: who finds the job, and after how long."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from app.queue.model import NewJob
from tests.faults.scene import (
    AFTER_LEASE,
    AT_ONCE,
    DATABASES,
    Scene,
    failed_attempt,
    job_of,
)
from tests.faults.traffic import opening
from tests.support.waiting import eventually

# Those of batches are in the usual run: workers are what dies most.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.parametrize("database_url", DATABASES, indirect=True),
]


WORKER = {
    "before claim": ("the job is still queued: the next worker takes it at once", AT_ONCE),
    "after claim": (
        "it is started, and its worker never knew: the clock rescues it when the lease ends",
        AFTER_LEASE,
    ),
    "after load": (
        "the database rolls back; the clock rescues the job when the lease ends",
        AFTER_LEASE,
    ),
    "after statements": (
        "PostgreSQL was sent the COMMIT along: a duplicate now; SQLite rolls back",
        AFTER_LEASE,
    ),
    "after commit": (
        "the ledger has it, the effects are in no queue: the clock rescues the job, which is a "
        "duplicate now, and finds the effects in the ledger (after 30 to 45 s by default)",
        AFTER_LEASE,
    ),
    "after effects": ("as before, but the effects are queued and done at once", AFTER_LEASE),
    "before complete": ("the job is rescued when the lease ends, and is a duplicate", AFTER_LEASE),
    "after complete": ("nothing is left to be found", AT_ONCE),
}


@pytest.mark.parametrize("point", WORKER)
def test_an_event_is_applied_once_if_its_worker_dies(scene: Scene, point: str) -> None:
    """See WORKER for who finds the job, and after how long."""
    way, within = WORKER[point]
    event = failed_attempt()
    scene.order("clock")
    scene.order("effects")
    scene.enqueue(event)
    killed = scene.die("worker", point)
    scene.order("worker")
    scene.await_applied(event)
    took = time.monotonic() - killed
    verdict = scene.judge(event)
    assert not verdict.faults, verdict.faults
    assert verdict.effects == {"cancel done": 1}
    assert took < within, way


@pytest.mark.parametrize(
    "point",
    [
        # The clock rescues it when the lease ends; the attempt was not recorded, and is not
        # counted.
        "before retry_later",
        # It waits for its time, 1 to 2 s, and the clock queues it then.
        "after retry_later",
    ],
)
def test_an_event_is_tried_again_if_its_worker_dies_deferring_it(scene: Scene, point: str) -> None:
    event = failed_attempt()
    scene.order("clock")
    scene.order("effects")
    scene.enqueue(event)
    killed = scene.die("worker", point, faults=("transient",))
    scene.order("worker")
    scene.await_applied(event)
    assert time.monotonic() - killed < AFTER_LEASE
    assert not scene.judge(event).faults


def test_an_event_whose_worker_dies_burying_it_is_tried_by_the_next(scene: Scene) -> None:
    """The clock rescues it when the lease ends; the next worker decides for itself."""
    event = opening(1)
    scene.order("clock")
    scene.enqueue(event)
    killed = scene.die("worker", "before bury", faults=("permanent",))
    scene.order("worker")
    scene.await_applied(event)
    assert time.monotonic() - killed < AFTER_LEASE
    assert not scene.judge(event).faults


def test_an_event_is_a_dead_letter_if_its_worker_dies_having_buried_it(scene: Scene) -> None:
    """Nobody has to find it: it stays until an operator, or a resend, puts it back."""
    event = opening(1)
    scene.enqueue(event)
    scene.die("worker", "after bury", faults=("permanent",))
    letter = scene.rig.letters.find(event.id)
    assert letter is not None
    assert (letter.reason, letter.error_class, letter.attempts) == (
        "permanent_error",
        "KeyError",
        1,
    )
    scene.order("clock")
    scene.order("worker")
    verdict = scene.judge(event)
    assert (verdict.dead, verdict.faults) == (1, {})
    scene.await_applied(event)


RELEASE = {
    "before release": (
        "the first is completed; the clock rescues the others when the lease ends",
        AFTER_LEASE,
    ),
    "after release": ("the others are queued, at the front: the next worker's", AT_ONCE),
}


@pytest.mark.parametrize("point", RELEASE)
def test_a_batch_is_applied_if_its_worker_is_stopped_and_then_dies(
    scene: Scene, point: str
) -> None:
    """See RELEASE for who finds the jobs that were not begun."""
    way, within = RELEASE[point]
    events = [opening(number) for number in range(4)]
    scene.order("clock")
    scene.enqueue(*events)
    killed = scene.die("worker", point, faults=("stop",))
    scene.order("worker")
    scene.await_applied(*events)
    took = time.monotonic() - killed
    assert not scene.judge(*events).faults
    assert took < within, way


@pytest.mark.parametrize(
    "point",
    [
        # Nothing has moved: the next clock, or one of another host, rescues or promotes the job.
        "before",
        # The job is queued already.
        "after",
    ],
)
@pytest.mark.parametrize("why", ["lost", "due"])
def test_a_job_that_is_lost_or_due_is_applied_if_the_clock_dies(
    scene: Scene, why: str, point: str
) -> None:
    event = opening(1)
    if why == "lost":
        scene.enqueue(event)
        assert scene.rig.events.claim("of-a-dead-worker", 0.01, 1)
    else:
        job = job_of(event)
        scene.rig.events.enqueue(NewJob(job.id, job.payload, job.description, delay=0.01))
    time.sleep(0.02)
    transition = "rescue" if why == "lost" else "promote"
    killed = scene.die("clock", f"{point} {transition}")
    scene.order("clock")
    scene.order("worker")
    scene.await_applied(event)
    assert time.monotonic() - killed < AT_ONCE
    assert not scene.judge(event).faults


@pytest.mark.timeout(1800)
@pytest.mark.soak
@pytest.mark.parametrize("point", ["after claim", "before complete"])
def test_with_default_settings_a_killed_workers_event_is_applied_within_90_seconds(
    scene: Scene, point: str, tmp_path: Path
) -> None:
    """The clock rescues the job when its lease of 60 s ends."""
    del scene.rig.environment["LEASE_SECONDS"]
    event = failed_attempt()
    scene.order("clock")
    scene.order("effects")
    scene.enqueue(event)
    killed = scene.die("worker", point)
    scene.order("worker")
    ids = {event.id}
    eventually(scene.finished(ids), 90, "completed")
    assert time.monotonic() - killed < 90
    assert not scene.judge(event).faults
