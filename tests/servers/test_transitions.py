"""The tests of all that the queue's scripts do, on every server that teams run."""

from __future__ import annotations

import pytest
from redis import Redis

from app.queue.dead_letters import DeadLetters
from app.queue.deferred import DeferredJobs
from app.queue.model import EVENTS, encode
from app.queue.scripts import SCRIPTS
from app.queue.transitions import JobQueue
from tests.queue import (
    test_batches,
    test_by_session,
    test_counts,
    test_dead_letters,
    test_deferred,
    test_pausing,
    test_recovery_transitions,
    test_transitions,
    test_wait,
)
from tests.support.places import claim_one, new, one_of_each

pytestmark = pytest.mark.slow

MODULES = (
    test_batches,
    test_by_session,
    test_counts,
    test_dead_letters,
    test_deferred,
    test_pausing,
    test_recovery_transitions,
    test_transitions,
    test_wait,
)
# pytest collects what a module holds: their tests, and the fixtures of theirs that these need.
globals().update(
    {
        name: found
        for module in MODULES
        for name, found in vars(module).items()
        if name.startswith("test_") or name in ("letters", "waiting")
    }
)


def test_every_script_is_known_to_the_server(jobs: JobQueue, redis: Redis) -> None:
    one_of_each(jobs)  # enqueue, claim, complete, bury, retry_later
    assert jobs.promote() == 1
    assert jobs.rescue().expired == 1
    assert jobs.rewrite("failed", encode(EVENTS.function, [2]))
    assert jobs.replay(["failed"]) == 1
    claimed = claim_one(jobs, "t1")
    assert jobs.release("t1", [claimed.id]) == 1
    assert jobs.leave(claim_one(jobs, "t2"), 30)
    jobs.enqueue(new("letter"))
    while (one := claim_one(jobs, "t3")).id != "letter":
        jobs.complete("t3", [one.id])
    assert jobs.bury(one, "permanent_error", "Broken", "it broke")
    assert jobs.discard(["letter"]) == 1
    assert [letter.id for letter in DeadLetters(redis, EVENTS)] == []
    assert DeferredJobs(redis, EVENTS).summarise().count == 2
    known = redis.script_exists(*(script.sha for script in jobs._scripts.values()))
    assert known == [True] * len(SCRIPTS)
