"""What happens by time alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from redis import Redis

from app.domain.effects import EffectRow
from app.domain.errors import QueueUnavailable
from app.domain.event import SessionEvent
from app.domain.session import Observation
from app.ledger.engine import LedgerUnavailable
from app.ledger.ledger import Ledger
from app.ledger.transaction import Applied
from app.queue.jobs import JobQueue
from app.queue.model import EFFECTS, EVENTS
from tests.domain.builders import OPENED
from tests.queue.places import LONG, end_lease, make_due, new, place
from tests.workers.building import NOW, payload
from workers.clock import EFFECT_GRACE, EFFECTS_EVERY, Clock
from workers.handlers import handle
from workers.jobs import Context, effect_job

CHECK_BACK = "evt_1-check_back"
QUEUED_EFFECT = "rq:scheduled:effects"


def processing() -> Observation:
    """What asks for a check-back in 15 minutes."""
    return SessionEvent.from_dict(payload("processing", "processing", at=OPENED + 5)).observation()


def dies_after_commit(context: Context, seconds_ago: float) -> Applied:
    """Commit an event, and queue none of its effects."""
    return context.ledger.apply(
        processing(),
        decide=handle,
        policy=context.settings.policy,
        now=int(context.now() - seconds_ago),
    )


class Beating:
    """A rhythm that the test beats."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class AwayQueue(JobQueue):
    """A queue in a Redis that cannot be reached."""

    def _run(self, name: str, *arguments: Any) -> Any:
        raise QueueUnavailable("away")

    def accept_all(self, jobs: Any) -> list[str]:
        raise QueueUnavailable("away")


class AwayLedger(Ledger):
    """A ledger that cannot be reached."""

    def effects_due_unsent(self, *arguments: Any, **options: Any) -> list[EffectRow]:
        raise LedgerUnavailable("away")


def test_an_effect_whose_process_died_before_it_was_queued_is_queued(
    context: Context, redis: Redis
) -> None:
    dies_after_commit(context, EFFECT_GRACE + 1)
    assert redis.zscore(QUEUED_EFFECT, CHECK_BACK) is None
    Clock(context).run_once()
    score = redis.zscore(QUEUED_EFFECT, CHECK_BACK)
    assert score is not None
    assert 860 < score - redis.time()[0] < 880


def test_an_effect_that_its_own_process_may_still_queue_is_left_to_it(
    context: Context, redis: Redis
) -> None:
    dies_after_commit(context, EFFECT_GRACE - 1)
    Clock(context).run_once()
    assert redis.zscore(QUEUED_EFFECT, CHECK_BACK) is None


def test_effects_are_queued_once_by_many_clocks(context: Context) -> None:
    dies_after_commit(context, EFFECT_GRACE + 1)
    rows = context.ledger.effects_due_unsent(int(NOW), 10)
    assert [Clock(context).queue_effects() for _ in range(3)] == [1, 0, 0]
    # Another clock had read them before they were marked.
    assert context.effects.accept_all([effect_job(row, NOW) for row in rows]) == ["duplicate"]
    assert context.effects.counts()["scheduled"] == 1


def test_an_effect_that_died_is_not_brought_back_by_the_clock(
    context: Context, redis: Redis
) -> None:
    applied = dies_after_commit(context, EFFECT_GRACE + 1)
    context.effects.accept(replace(effect_job(applied.effects[0], NOW), delay=0))
    (job,) = context.effects.claim("token", 60, 1)
    context.effects.bury(job, "permanent_error", "Broken", "it broke")
    assert Clock(context).queue_effects() == 1
    assert context.effects.counts() == {"queued": 0, "started": 0, "scheduled": 0, "failed": 1}


def test_an_effect_that_is_done_is_not_queued(context: Context) -> None:
    dies_after_commit(context, EFFECT_GRACE + 1)
    context.ledger.mark_effect(CHECK_BACK, "done", int(NOW))
    assert Clock(context).queue_effects() == 0


@pytest.mark.parametrize("name", ["events", "effects"])
def test_what_is_lost_and_what_is_due_is_queued_again(
    context: Context, redis: Redis, name: str
) -> None:
    queue: JobQueue = getattr(context, name)
    queue.accept_all([new("lost"), new("deferred")])
    _, deferred = queue.claim("token", 60, 2)
    queue.defer(deferred, 3600, "Busy", "x")
    redis.zincrby(f"rq:wip:{name}", -LONG, "lost:token")
    redis.zincrby(f"rq:scheduled:{name}", -LONG, "deferred")
    Clock(context).run_once()
    assert queue.counts() == {"queued": 2, "started": 0, "scheduled": 0, "failed": 0}


def test_a_job_that_kills_its_worker_for_the_third_time_is_buried(
    context: Context, redis: Redis
) -> None:
    context.events.accept(new("evt_1"))
    clock = Clock(context)
    for _ in range(3):
        context.events.claim("token", 60, 1)
        end_lease(redis, "evt_1")
        clock.run_once()
    assert place(redis, "evt_1") == "failed"
    assert redis.hget("rq:job:evt_1", "reason") == b"crashed_worker"


def test_one_queue_that_cannot_be_reached_does_not_stop_the_other(
    context: Context, redis: Redis
) -> None:
    context.events.accept(new("evt_1"))
    (job,) = context.events.claim("token", 60, 1)
    context.events.defer(job, 60, "Busy", "x")
    make_due(redis, "evt_1")
    Clock(replace(context, effects=AwayQueue(redis, EFFECTS))).run_once()
    assert place(redis, "evt_1") == "queued"


def test_an_absent_ledger_does_not_stop_the_queues(context: Context, redis: Redis) -> None:
    context.events.accept(new("evt_1"))
    context.events.claim("token", 60, 1)
    end_lease(redis, "evt_1")
    ledger = AwayLedger(context.ledger._engine)
    Clock(replace(context, ledger=ledger)).run_once()
    assert place(redis, "evt_1") == "queued"


def test_absent_queues_do_not_keep_the_clock_from_the_ledger_nor_lose_its_effects(
    context: Context, redis: Redis
) -> None:
    dies_after_commit(context, EFFECT_GRACE + 1)
    away = replace(context, events=AwayQueue(redis, EVENTS), effects=AwayQueue(redis, EFFECTS))
    Clock(away).run_once()
    assert Clock(context).queue_effects() == 1


def test_the_ledger_is_not_asked_at_every_tick(context: Context) -> None:
    asked: list[float] = []
    beat = Beating()

    class Counting(Ledger):
        def effects_due_unsent(self, *arguments: Any, **options: Any) -> list[EffectRow]:
            asked.append(beat.now)
            return []

    clock = Clock(replace(context, ledger=Counting(context.ledger._engine)), monotonic=beat)
    for second in range(31):
        beat.now = float(second)
        clock.run_once()
    assert asked == [0, EFFECTS_EVERY, 2 * EFFECTS_EVERY]
