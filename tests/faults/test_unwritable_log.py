"""A log that cannot be written, as on a full disk: all goes on without it."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.conftest import MakeRig
from tests.faults.processes import end, start
from tests.faults.rig import Rig
from tests.faults.sender import Sender
from tests.faults.traffic import traffic
from tests.faults.verdict import judge

FULL = Path("/dev/full")  # each write fails: no space left on device


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:
    return make_rig()


def test_events_are_taken_and_applied_while_no_line_can_be_logged(rig: Rig) -> None:
    lives = traffic(5, seed=31)
    with ExitStack() as stack:
        for module in ("app.web", "workers"):
            stack.callback(end, start(module, FULL, rig.environment))
        rig.await_web()
        sender = stack.enter_context(Sender(rig.port))
        sender.give(lives.deliveries)
        sender.finish(30)
        verdict = judge(rig, sender, lives)
    assert not verdict.faults, verdict.faults
    assert verdict.dead == 0
    assert sender.answers[200] == len(lives.deliveries)
