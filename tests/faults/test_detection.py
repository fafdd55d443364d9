"""The suite can see a loss: RQ's own worker in place of ours makes it fail."""

from __future__ import annotations

import pytest

from tests.faults.conftest import MakeRig
from tests.faults.killable import Killable
from tests.faults.processes import end, start
from tests.faults.sender import Sender
from tests.faults.traffic import openings
from tests.faults.verdict import judge
from tests.support.ledger import count_events
from tests.support.waiting import eventually


@pytest.mark.slow
def test_a_stock_worker_that_is_killed_after_its_dequeue_loses_the_event(
    make_rig: MakeRig, killable: Killable
) -> None:
    """It takes the job from the list first and says STARTED later: in between it is nowhere."""
    lives = openings(5)
    rig = make_rig()
    rig.start_web()
    killable.order(rig.folder, rig.environment, "clock")
    log, flag = rig.folder / "stock.log", rig.folder / "died"
    with Sender(rig.port) as sender:
        sender.give(lives.deliveries)
        sender.finish(20)
        first = start("tests.faults.stock", log, rig.environment, str(flag))
        assert first.wait(30) == -9
        second = start("tests.faults.stock", log, rig.environment, str(flag))
        eventually(lambda: count_events(rig.engine) == 4, 30, "the others are applied")
        [gone] = set(sender.acknowledged) - rig.ledger.has_events(list(sender.acknowledged))
        verdict = judge(rig, sender, lives, seconds=10)
        # An idle queue shows that nothing will ever run it: Stripe's resend puts it back.
        sender.give([lives.events[gone]])
        sender.finish(20)
        eventually(lambda: count_events(rig.engine) == 5, 20, "the resend is applied")
        end(second)
        end(first)
    killable.end_all()
    assert sender.acknowledged[gone] == ["enqueued", "replayed"]
    assert verdict.lost == [gone]
    assert [wrong.partition(":")[0] for wrong in verdict.wrong_standings] == [
        lives.events[gone].reference
    ]
