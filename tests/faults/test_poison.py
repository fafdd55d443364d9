"""Events that raise, hang, eat memory or kill: buried with their reason, the others go on."""

from __future__ import annotations

import json
import resource
import time
from dataclasses import dataclass
from typing import Any

import pytest

from app.queue.dead_letters import DeadLetter
from tests.faults.conftest import MakeRig
from tests.faults.poisoned import MEMORY
from tests.faults.rig import Rig
from tests.faults.sender import Sender
from tests.faults.traffic import Event, of, opening
from tests.faults.verdict import Verdict, judge
from tests.support.waiting import eventually

LEASE = 2
# Half of the lease: see `Worker.time_limit`.
TIME_LIMIT = 1
# Seconds that two cores, which others use as well, may add to any of what is measured here.
NOISE = 1.5
OTHERS = 30
DATABASES = ["sqlite", "postgresql"]


@dataclass
class Course:
    """What became of a poison and of those behind it."""

    letter: DeadLetter
    buried_after: float
    others_within: float  # from the first acknowledgement to the last of the others applied
    verdict: Verdict


def limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def administer(
    make_rig: MakeRig, poison: str, *, seconds: float, lease: int = LEASE, **limits: Any
) -> Course:
    """Send one poisonous event, and others behind it."""
    poisonous, others = opening(0, "poison"), [opening(number) for number in range(OTHERS)]
    extra = {"POISON": json.dumps({poisonous.step.session: poison})}
    rig = make_rig(lease=lease, workers="tests.faults.poisoned", extra=extra)
    rig.start(**limits)
    rig.await_workers()
    with Sender(rig.port) as sender:
        sender.give([poisonous])
        eventually(lambda: sender.is_done, 10)
        sender.give(others)
        sender.finish(20)
        began = sender.delivered_at[poisonous.id]
        await_applied(rig, others, seconds)
        others_within = time.monotonic() - began
        eventually(lambda: len(rig.letters), seconds, "buried")
        buried_after = time.monotonic() - began
        letter = rig.letters.find(poisonous.id)
        assert letter is not None
        verdict = judge(rig, sender, of(others), seconds=20, replay=False)
    return Course(letter, buried_after, others_within, verdict)


def await_applied(rig: Rig, events: list[Event], seconds: float) -> None:
    ids = {event.id for event in events}
    eventually(lambda: rig.ledger.has_events(ids) == ids, seconds, "others applied")


def held_by_lock(database_url: str) -> float:
    """SQLite has one writer, and a handler runs inside its transaction: the others meet the lock,
    and are deferred by up to 2 s, until the clock sees that they are due."""
    return 3.0 if database_url.startswith("sqlite") else 0.0


def assert_buried(course: Course, reason: str, error_class: str) -> None:
    assert (course.letter.reason, course.letter.error_class) == (reason, error_class)
    assert course.letter.error
    assert "reference" not in course.letter.error
    assert (course.verdict.dead, course.verdict.faults) == (1, {})


def test_an_event_whose_handler_raises_is_buried_at_once(make_rig: MakeRig) -> None:
    course = administer(make_rig, "raises", seconds=20)
    assert_buried(course, "permanent_error", "KeyError")
    assert course.letter.attempts == 1
    assert course.buried_after < NOISE
    assert course.others_within < NOISE


@pytest.mark.slow
@pytest.mark.parametrize("database_url", DATABASES, indirect=True)
def test_an_event_that_hangs_is_timed_out_and_holds_nobody_up_for_longer(
    make_rig: MakeRig, database_url: str
) -> None:
    """Late once, it is deferred by up to 2 s; late twice, it is buried."""
    course = administer(make_rig, "hangs", seconds=20)
    assert_buried(course, "timed_out", "JobTimeoutException")
    assert course.letter.attempts == 2
    assert course.buried_after < 2 * TIME_LIMIT + 2 + 1 + NOISE
    assert course.others_within < TIME_LIMIT + held_by_lock(database_url) + NOISE


def test_an_event_that_exhausts_memory_is_buried_at_once(make_rig: MakeRig) -> None:
    """Python raises MemoryError; if the kernel kills first, see the event that kills."""
    course = administer(make_rig, "exhausts_memory", seconds=20, preexec_fn=limit_memory)
    assert_buried(course, "permanent_error", "MemoryError")
    assert course.others_within < NOISE


@pytest.mark.slow
def test_an_event_that_kills_its_worker_is_buried_the_third_time(make_rig: MakeRig) -> None:
    """Each time the clock finds it when the lease ends. After the first it runs alone, so that no
    other is blamed; those claimed with it wait for the lease once."""
    course = administer(make_rig, "kills", seconds=40)
    assert_buried(course, "crashed_worker", "LeaseExpired")
    assert course.buried_after < 3 * (LEASE + 1) + 8 + NOISE  # 8: its workers' restarts
    assert course.others_within < LEASE + 1 + 2 + NOISE  # 2: a worker's restart


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_an_event_that_hangs_beyond_the_reach_of_signals_is_buried_as_a_worker_killer(
    make_rig: MakeRig,
) -> None:
    """The supervisor kills the worker 5 s after the time limit, which is within the lease, as by
    default: only one worker hangs at a time. Those claimed with it wait for the lease once."""
    course = administer(make_rig, "hangs_in_c", lease=12, seconds=90)
    assert_buried(course, "crashed_worker", "LeaseExpired")
    assert course.others_within < 12 + 1 + NOISE
