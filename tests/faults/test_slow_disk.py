"""SIGKILL to a Valkey of `appendfsync everysec` whose disk is slow: what a 200 is worth."""

from __future__ import annotations

import pytest

from tests.faults.conftest import MakeRig
from tests.faults.rig import Rig
from tests.faults.sender import Sender
from tests.faults.slow_disk import require_strace
from tests.faults.traffic import openings
from tests.support.waiting import eventually

KILLS = 6
pytestmark = pytest.mark.slow


def lost_by_kills(rig: Rig) -> set[str]:
    """The events that were acknowledged before a kill, and that Valkey does not know after it."""
    rig.start_web()
    lives = openings(3_000)
    lost: set[str] = set()
    with Sender(rig.port, rate=150) as sender:
        sender.give(lives.deliveries)
        for _ in range(KILLS):
            reached = len(sender.acknowledged)
            eventually(lambda: len(sender.acknowledged) > reached + 50, 30)  # noqa: B023
            acknowledged = set(sender.acknowledged)
            rig.kill("valkey")
            found = rig.events.statuses(sorted(acknowledged))
            lost |= {id for id, status in found.items() if status is None}
    return lost


def test_no_event_that_was_acknowledged_is_lost(make_rig: MakeRig) -> None:
    require_strace()
    assert lost_by_kills(make_rig(has_slow_disk=True)) == set()


def test_some_are_if_the_disk_is_not_waited_for(make_rig: MakeRig) -> None:
    """So the test above can fail."""
    require_strace()
    assert lost_by_kills(make_rig(has_slow_disk=True, extra={"DURABILITY": "memory"}))
