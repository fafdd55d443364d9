"""A deploy: SIGTERM to every process at once, and a new one of each after it."""

from __future__ import annotations

import time

import pytest

from app.queue.model import EVENTS
from tests.faults.conftest import MakeRig
from tests.faults.processes import group_is_gone
from tests.faults.sender import REFUSED_FOR, Sender
from tests.faults.traffic import traffic
from tests.faults.verdict import judge
from tests.support.waiting import eventually

# Heroku kills after 30.
GONE_WITHIN = 25
DATABASES = ["sqlite", "postgresql"]


@pytest.mark.slow
@pytest.mark.parametrize("database_url", DATABASES, indirect=True)
@pytest.mark.parametrize("web_processes", ["1", "2"])
def test_a_deploy_under_load_loses_nothing_and_everyone_leaves_in_time(
    make_rig: MakeRig, web_processes: str
) -> None:
    lives = traffic(60, seed=3)
    rig = make_rig(workers="tests.faults.fast_clock", extra={"WEB_CONCURRENCY": web_processes})
    rig.start()
    rig.await_workers()
    with Sender(rig.port, rate=250) as sender:
        sender.give(lives.deliveries)
        eventually(lambda: len(sender.acknowledged) > 150, 20, "load")
        leaders = [rig.web.pid, rig.supervisor.pid]  # type: ignore[union-attr]
        began = time.monotonic()
        codes, _ = rig.terminate()
        eventually(lambda: all_gone(leaders), GONE_WITHIN, "all gone")
        assert time.monotonic() - began < GONE_WITHIN
        assert codes == [0, 0], rig.tail()
        assert not rig.counts(EVENTS)["started"], "a worker left with jobs in its hands"
        rig.start()
        sender.finish(30)
        verdict = judge(rig, sender, lives)
    assert not verdict.faults, verdict.faults
    assert verdict.dead == 0
    assert set(sender.acknowledged) == set(lives.events)
    assert sender.longest_refusal < REFUSED_FOR


def all_gone(leaders: list[int]) -> bool:
    return all(group_is_gone(leader) for leader in leaders)
