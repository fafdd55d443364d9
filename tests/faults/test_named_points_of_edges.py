"""SIGKILL where events come in, and where operators put them back or discard them."""

from __future__ import annotations

import time

import pytest

from tests.faults.scene import (
    AT_ONCE,
    DATABASES,
    Scene,
)
from tests.faults.sender import Sender
from tests.faults.traffic import Event, opening
from tests.support.waiting import eventually

# Those of batches are in the usual run: workers are what dies most.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.parametrize("database_url", DATABASES, indirect=True),
]


ENQUEUE = {
    "before enqueue": (
        "Redis knows nothing: Stripe, without an answer, sends it again",
        "enqueued",
    ),
    "after enqueue": ("it is queued; Stripe, without an answer, sends it again", "duplicate"),
}


@pytest.mark.parametrize("point", ENQUEUE)
def test_an_event_is_applied_once_if_the_web_process_dies(scene: Scene, point: str) -> None:
    """See ENQUEUE for the answer to Stripe's next delivery."""
    way, outcome = ENQUEUE[point]
    event = opening(1)
    dying = scene.order("web", point)
    eventually(scene.rig.web_answers, 20)
    with Sender(scene.rig.port) as sender:
        sender.give([event])
        scene.killable.killed_at(scene.rig.folder, dying)
        scene.order("web")
        sender.finish(20)
        assert sender.acknowledged == {event.id: [outcome]}, way
    scene.order("worker")
    scene.await_applied(event)
    assert not scene.judge(event).faults


def bury(scene: Scene, event: Event) -> None:
    scene.enqueue(event)
    [claimed] = scene.rig.events.claim("of-a-worker", 60, 1)
    assert scene.rig.events.bury(claimed, "permanent_error", "KeyError", "raised in a test")


def test_a_letter_stays_if_its_operator_dies_replaying_it(scene: Scene) -> None:
    """Nothing has moved: the operator runs the command again."""
    event = opening(1)
    bury(scene, event)
    scene.die("command", "before replay", arguments=("dlq", "replay", event.id))
    assert [letter.id for letter in scene.rig.letters] == [event.id]
    scene.order("worker")
    scene.order("command", arguments=("dlq", "replay", event.id))
    scene.await_applied(event)
    assert not scene.judge(event).faults


def test_a_letter_is_applied_if_its_operator_dies_having_replayed_it(scene: Scene) -> None:
    """It is queued: a worker takes it at once, and nobody has to run the command again."""
    event = opening(1)
    bury(scene, event)
    killed = scene.die("command", "after replay", arguments=("dlq", "replay", event.id))
    scene.order("worker")
    scene.await_applied(event)
    assert time.monotonic() - killed < AT_ONCE
    assert not scene.judge(event).faults


@pytest.mark.parametrize(
    ("point", "lines", "letters"),
    [
        # Nothing has been written.
        ("before note", 0, 1),
        # In the timeline, with the letter still there: it is discarded again, and recorded twice.
        ("before discard", 1, 1),
        # All is done.
        ("after discard", 1, 0),
    ],
)
def test_a_letter_is_not_gone_before_the_timeline_says_so(
    scene: Scene, point: str, lines: int, letters: int
) -> None:
    event = opening(1)
    bury(scene, event)
    words = ("dlq", "discard", event.id, "--why", "a test", "--yes")
    scene.die("command", point, arguments=words)

    def told() -> int:
        record = scene.rig.ledger.read_reference(event.reference, livemode=False)
        return 0 if record is None else len(record.timeline)

    assert (told(), len(scene.rig.letters)) == (lines, letters)
    if letters:
        scene.order("command", arguments=words)
        eventually(lambda: not len(scene.rig.letters), 10)
        assert told() == lines + 1
