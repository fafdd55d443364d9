"""What happens by time alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from redis import Redis
from structlog.testing import capture_logs

from app.domain.durations import HOUR
from app.domain.effects import PendingEffect
from app.domain.errors import QueueUnavailable
from app.domain.event import SessionEvent
from app.domain.reconcile import Applied
from app.domain.session import Observation
from app.ledger.engine import LedgerUnavailable
from app.ledger.ledger import Ledger
from app.operations.effects import enqueue_and_mark, enqueue_effects
from app.queue.model import EFFECTS, EVENTS, effect_job
from app.queue.transitions import JobQueue
from tests.support.events import OPENED
from tests.support.places import LONG, counts, end_lease, make_due, new, place
from tests.support.stores import come_back, leave_as_later
from tests.support.workers import NOW, payload, with_stores
from tests.workers.runs import Time
from workers.clock import EFFECT_GRACE, EFFECTS_INTERVAL, SCHEMA_INTERVAL, Clock
from workers.context import Context
from workers.jobs import run_effect

RECHECK = "evt_1-recheck"
QUEUED_EFFECT = "rq:scheduled:identity-effects"


def processing() -> Observation:
    """What asks for a recheck in 15 minutes."""
    return SessionEvent.unpack(payload("processing", "processing", at=OPENED + 5)).observation()


def dies_after_commit(context: Context, seconds_ago: float) -> Applied:
    """Commit an event, and enqueue none of its effects."""
    (applied,) = context.stores.ledger.apply(
        [processing()],
        policy=context.stores.settings.policy,
        now=int(context.now() - seconds_ago),
    )
    return applied


class AwayQueue(JobQueue):
    """A queue in a Redis that cannot be reached."""

    def _run(self, name: str, *arguments: Any) -> Any:
        raise QueueUnavailable("away")

    def enqueue_all(self, jobs: Any) -> list[str]:
        raise QueueUnavailable("away")


class AwayLedger(Ledger):
    """A ledger that cannot be reached."""

    def effects_due_unsent(self, *arguments: Any, **options: Any) -> list[PendingEffect]:
        raise LedgerUnavailable("away")


def test_an_effect_whose_process_died_before_it_was_enqueued_is_enqueued(
    context: Context, redis: Redis
) -> None:
    dies_after_commit(context, EFFECT_GRACE + 1)
    assert redis.zscore(QUEUED_EFFECT, RECHECK) is None
    Clock(context).run_once()
    score = redis.zscore(QUEUED_EFFECT, RECHECK)
    assert score is not None
    assert 860 < score - redis.time()[0] < 880


def test_an_effect_that_its_own_process_may_still_enqueue_is_left_to_it(
    context: Context, redis: Redis
) -> None:
    dies_after_commit(context, EFFECT_GRACE - 1)
    Clock(context).run_once()
    assert redis.zscore(QUEUED_EFFECT, RECHECK) is None


def test_effects_are_enqueued_once_by_many_clocks(context: Context) -> None:
    dies_after_commit(context, EFFECT_GRACE + 1)
    rows = context.stores.ledger.effects_due_unsent(int(NOW), 10)
    assert [Clock(context).enqueue_effects() for _ in range(3)] == [1, 0, 0]
    # Another clock had read them before they were marked.
    assert context.stores.effects.enqueue_all([effect_job(row, NOW) for row in rows]) == [
        "duplicate"
    ]
    assert counts(context.stores.effects)["scheduled"] == 1


def test_an_effect_that_died_is_not_brought_back_by_the_clock(
    context: Context, redis: Redis
) -> None:
    applied = dies_after_commit(context, EFFECT_GRACE + 1)
    context.stores.effects.enqueue(replace(effect_job(applied.effects[0], NOW), delay=0))
    (job,) = context.stores.effects.claim("token", 60, 1)
    context.stores.effects.bury(job, "permanent_error", "Broken", "it broke")
    assert Clock(context).enqueue_effects() == 1
    assert counts(context.stores.effects) == {
        "queued": 0,
        "started": 0,
        "scheduled": 0,
        "failed": 1,
    }


def test_an_effect_that_died_is_failed_in_the_ledger_whoever_buried_it(
    context: Context, redis: Redis
) -> None:
    applied = dies_after_commit(context, EFFECT_GRACE + 1)
    context.stores.effects.enqueue(replace(effect_job(applied.effects[0], NOW), delay=0))
    (job,) = context.stores.effects.claim("token", 60, 1)
    context.stores.effects.bury(job, "crashed_worker", "LeaseExpired", "its worker died")
    clock = Clock(context)
    clock.run_once()
    assert context.stores.ledger.effect_status(RECHECK) == "failed"
    assert [clock.record_dead_effects(), clock.enqueue_effects()] == [0, 0]


def test_a_dead_effect_that_another_tool_has_put_back_is_done(context: Context) -> None:
    (effect,) = dies_after_commit(context, EFFECT_GRACE + 1).effects
    context.stores.ledger.mark_failed([effect.id], int(NOW))
    run_effect(effect.pack(), context)
    assert context.stores.ledger.effect_status(effect.id) == "dropped"  # there is no Stripe to ask


def test_an_effect_due_in_more_than_an_hour_waits_in_the_ledger_until_then(
    context: Context, redis: Redis
) -> None:
    due = int(NOW) + 2 * HOUR
    effect = PendingEffect("far", "recheck", "", False, "vs_1", None, None, due)
    context.stores.ledger.add_effects([effect], int(NOW))
    assert enqueue_effects([effect], context.stores.effects, NOW)
    enqueue_and_mark([effect], context.stores.effects, context.stores.ledger, NOW)
    later = replace(context, now=lambda: NOW + EFFECT_GRACE + 1)
    assert Clock(later).enqueue_effects() == 0
    assert redis.zscore(QUEUED_EFFECT, "far") is None
    soon = replace(context, now=lambda: NOW + HOUR + EFFECT_GRACE + 1)
    assert Clock(soon).enqueue_effects() == 1
    assert redis.zscore(QUEUED_EFFECT, "far") is not None


def test_an_effect_that_is_done_is_not_enqueued(context: Context) -> None:
    dies_after_commit(context, EFFECT_GRACE + 1)
    context.stores.ledger.mark_effects([RECHECK], "done", int(NOW))
    assert Clock(context).enqueue_effects() == 0


@pytest.mark.parametrize("name", ["events", "effects"])
def test_what_is_lost_and_what_is_due_is_queued_again(
    context: Context, redis: Redis, name: str
) -> None:
    queue = context.stores.queue(name)
    queue.enqueue_all([new("lost"), new("deferred")])
    _, deferred = queue.claim("token", 60, 2)
    queue.retry_later(deferred, 3600, "Busy", "x")
    redis.zincrby(f"rq:wip:{queue.spec.rq_name}", -LONG, "lost:token")
    redis.zincrby(f"rq:scheduled:{queue.spec.rq_name}", -LONG, "deferred")
    Clock(context).run_once()
    assert counts(queue) == {"queued": 2, "started": 0, "scheduled": 0, "failed": 0}


def test_a_job_that_kills_its_worker_for_the_third_time_is_buried(
    context: Context, redis: Redis
) -> None:
    context.stores.events.enqueue(new("evt_1"))
    clock = Clock(context)
    for _ in range(3):
        context.stores.events.claim("token", 60, 1)
        end_lease(redis, "evt_1")
        clock.run_once()
    assert place(redis, "evt_1") == "failed"
    assert redis.hget("rq:job:evt_1", "reason") == b"crashed_worker"


def test_one_queue_that_cannot_be_reached_does_not_stop_the_other(
    context: Context, redis: Redis
) -> None:
    context.stores.events.enqueue(new("evt_1"))
    (job,) = context.stores.events.claim("token", 60, 1)
    context.stores.events.retry_later(job, 60, "Busy", "x")
    make_due(redis, "evt_1")
    Clock(with_stores(context, effects=AwayQueue(redis, EFFECTS))).run_once()
    assert place(redis, "evt_1") == "queued"


def test_an_absent_ledger_does_not_stop_the_queues(context: Context, redis: Redis) -> None:
    context.stores.events.enqueue(new("evt_1"))
    context.stores.events.claim("token", 60, 1)
    end_lease(redis, "evt_1")
    ledger = AwayLedger(context.stores.engine)
    Clock(with_stores(context, ledger=ledger)).run_once()
    assert place(redis, "evt_1") == "queued"


def test_absent_queues_do_not_keep_the_clock_from_the_ledger_nor_lose_its_effects(
    context: Context, redis: Redis
) -> None:
    dies_after_commit(context, EFFECT_GRACE + 1)
    away = with_stores(context, events=AwayQueue(redis, EVENTS), effects=AwayQueue(redis, EFFECTS))
    Clock(away).run_once()
    assert Clock(context).enqueue_effects() == 1


def test_the_ledger_is_not_asked_at_every_tick(context: Context) -> None:
    asked: list[float] = []
    beat = Time(0.0)

    class Counting(Ledger):
        def effects_due_unsent(self, *arguments: Any, **options: Any) -> list[PendingEffect]:
            asked.append(beat.now)
            return []

    counting = with_stores(context, ledger=Counting(context.stores.engine))
    clock = Clock(counting, monotonic=beat)
    for second in range(31):
        beat.now = float(second)
        clock.run_once()
    assert asked == [0, EFFECTS_INTERVAL, 2 * EFFECTS_INTERVAL]


def test_the_clock_trims_the_stream_that_nothing_is_appended_to(
    context: Context, redis: Redis
) -> None:
    redis.xadd("changes", {"old": "1"}, id="1-0")
    Clock(context).run_once()
    assert redis.xlen("changes") == 1
    settings = replace(context.stores.settings, notify_stream="changes")
    Clock(with_stores(context, settings=settings)).run_once()
    assert redis.xlen("changes") == 0


def test_the_clock_leaves_a_ledger_alone_that_this_release_is_too_old_for(
    context: Context, redis: Redis, database_url: str
) -> None:
    dies_after_commit(context, EFFECT_GRACE + 1)
    leave_as_later(database_url, since="9999")
    beat = Time(0.0)
    clock = Clock(context, monotonic=beat)
    with capture_logs() as logs:
        clock.run_once()
    assert redis.zscore(QUEUED_EFFECT, RECHECK) is None
    assert "too old for (revision 9999)" in logs[-1]["error"]
    come_back(database_url)
    beat.now = SCHEMA_INTERVAL
    clock.run_once()
    assert redis.zscore(QUEUED_EFFECT, RECHECK) is not None
