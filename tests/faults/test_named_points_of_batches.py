"""SIGKILL at each step of a batch: every one of its events ends applied, once."""

from __future__ import annotations

import time

import pytest

from app.queue.model import EVENTS
from tests.faults.scene import AFTER_LEASE, AT_ONCE, DATABASES, Scene, failed_attempt
from tests.faults.traffic import opening

pytestmark = [
    pytest.mark.slow,
    pytest.mark.parametrize("database_url", DATABASES, indirect=True),
]

USERS = 5

BATCH = {
    "after claim": ("all are started, and their worker never knew", AFTER_LEASE),
    "after load": (
        "events, sessions and references are locked: the database rolls back",
        AFTER_LEASE,
    ),
    "after statements": (
        "PostgreSQL was sent the COMMIT along: all are duplicates; SQLite rolls back",
        AFTER_LEASE,
    ),
    "after commit": (
        "the ledger has all, no queue has the effects: all are duplicates",
        AFTER_LEASE,
    ),
    "after effects": ("as before, but the effects are queued and done at once", AFTER_LEASE),
    "before complete": ("all is done, and Redis does not know it: all are duplicates", AFTER_LEASE),
    "after complete": ("nothing is left to be found", AT_ONCE),
}


@pytest.mark.parametrize("point", BATCH)
def test_each_event_of_a_batch_is_applied_once_if_its_worker_dies(scene: Scene, point: str) -> None:
    """See BATCH for what the next worker finds; the clock rescues all when the lease ends."""
    way, within = BATCH[point]
    events = [failed_attempt(user) for user in range(USERS)]
    scene.enqueue(*events)
    killed = scene.die("worker", point)
    held = 0 if point == "after complete" else USERS
    assert scene.rig.counts(EVENTS)["started"] == held, "they were claimed together"
    for role in ("clock", "effects", "worker"):
        scene.order(role)
    scene.await_applied(*events)
    took = time.monotonic() - killed
    verdict = scene.judge(*events)
    assert not verdict.faults, verdict.faults
    assert verdict.effects == {"cancel done": USERS}
    assert set(scene.stub.cancelled.values()) == {1}
    assert took < within, way


def test_a_batch_that_was_claimed_ahead_is_taken_up_again_if_its_worker_dies(scene: Scene) -> None:
    """Both batches, of one worker, are rescued when their leases end."""
    # Few have an effect: each is a call to Stripe.
    events = [opening(user) for user in range(EVENTS.batch)]
    events += [failed_attempt(user) for user in range(USERS)]
    scene.enqueue(*events)
    scene.die("worker", "before complete")
    assert scene.rig.counts(EVENTS)["started"] == len(events)
    for role in ("clock", "effects", "worker"):
        scene.order(role)
    scene.await_applied(*events)
    verdict = scene.judge(*events)
    assert not verdict.faults, verdict.faults
    assert set(scene.stub.cancelled.values()) == {1}
