"""Troubles with the stores, the workers and what waits: made, then mended as the page says.

Each goes on to its first `yield` with the trouble made, and to its second with it mended.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.e2e.runbook.stage import WITHIN, Stage
from tests.notifications.receiver import Delivery, answering
from tests.support.places import failing_for
from tests.support.stores import migrate_to
from tests.support.waiting import eventually

Trouble = Iterator[None]
EVENTS, EFFECTS = "identity-events", "identity-effects"


def not_scraped(stage: Stage) -> Trouble:
    stage.site.stop("web")
    yield
    stage.site.start_web()
    yield


def redis_away(stage: Stage) -> Trouble:
    stage.site.valkey.kill()
    yield
    stage.site.valkey.start()
    stage.do()
    yield


def ledger_away(stage: Stage) -> Trouble:
    allow = f"ALTER DATABASE {stage.database} WITH ALLOW_CONNECTIONS"
    stage.server.administer(f"{allow} false")
    stage.server.administer(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{stage.database}'"
    )
    try:
        yield
    finally:
        stage.server.administer(f"{allow} true")
    yield


def migrations_pending(stage: Stage) -> Trouble:
    """The release is deployed beside a database that the one before has made."""
    own = stage.site.environment["DATABASE_URL"]
    url = stage.server.url(stage.server.create_database())
    migrate_to(url, "0003")
    stage.restart_web(DATABASE_URL=url)
    try:
        yield
        stage.do()
        yield
    finally:
        stage.restart_web(DATABASE_URL=own)


def no_workers(stage: Stage) -> Trouble:
    stage.site.stop("worker")
    yield
    stage.site.start_workers()
    yield


def workers_suspended(stage: Stage) -> Trouble:
    stage.run("python -m app queue pause --reason maintenance")
    yield
    stage.do()
    yield


def clock_stopped(stage: Stage) -> Trouble:
    """It hangs, and what is tried again soon is due for two minutes."""
    stage.receiver.usual = answering(500)
    stage.open_session()
    scheduled = f"rq:scheduled:{EFFECTS}"
    eventually(lambda: deferred(stage), WITHIN, "a notification is tried again later")
    stage.kill_child("clock", signal.SIGSTOP)
    stage.receiver.usual = None
    stage.age(
        lambda redis: [redis.zadd(scheduled, {id: now(redis) - 120}) for id in deferred(stage)]
    )
    yield
    stage.restart_killed_workers()
    yield


def events_waiting(stage: Stage) -> Trouble:
    stage.site.stop("worker")
    assert stage.deliver(stage.event()) == 200
    stage.age(lambda redis: wait_longer(redis, EVENTS, 400))
    yield
    stage.site.environment["EVENT_WORKERS"] = "3"
    stage.site.start_workers()
    yield


def effects_waiting(stage: Stage) -> Trouble:
    """The receiver is slow to answer, and what is behind waits."""
    answered: list[Delivery] = []

    def slowly(delivery: Delivery) -> None:
        answered.append(delivery)
        eventually(lambda: stage.receiver.usual is None, WITHIN)
        stage.receiver.enqueue(delivery)

    stage.receiver.usual = slowly
    for _ in range(3):
        assert stage.deliver(stage.event()) == 200
    eventually(lambda: answered and queued(stage, EFFECTS), WITHIN, "one is under way, others wait")
    stage.age(lambda redis: wait_longer(redis, EFFECTS, 1000))
    yield
    stage.receiver.usual = None
    yield


def jobs_deferred(stage: Stage) -> Trouble:
    stage.receiver.usual = answering(500)
    assert stage.deliver(stage.event()) == 200
    eventually(lambda: deferred(stage), WITHIN, "a notification is tried again later")
    with stage.site.redis() as redis:
        for id in deferred(stage):
            failing_for(redis, id, 1000)
    yield
    stage.receiver.usual = None
    stage.do()
    yield


def dead_letters(stage: Stage) -> Trouble:
    """The database refuses a session, as by a rule that somebody has added."""
    event = stage.event()
    session = event["data"]["object"]["id"]
    stage.sql(
        f"ALTER TABLE events ADD CONSTRAINT fault CHECK (session_id <> '{session}') NOT VALID"
    )
    assert stage.deliver(event) == 200
    eventually(lambda: stage.count("failed"), WITHIN, "a dead letter")
    yield
    stage.sql("ALTER TABLE events DROP CONSTRAINT fault")
    stage.do()
    yield


def workers_dying(stage: Stage) -> Trouble:
    """Killed, as for memory, with events in their hands."""
    with stage.locked("events"):
        for _ in range(6):
            assert stage.deliver(stage.event()) == 200
        eventually(lambda: stage.count("started") >= 4, WITHIN, "events are under way")
        for number in (1, 2, 3):
            stage.kill_child(f"events-{number}")
        yield
    yield


def now(redis: Any) -> float:
    return float(redis.time()[0])


def queued(stage: Stage, queue: str) -> list[str]:
    """The ids of what waits in a queue."""
    with stage.site.redis() as redis:
        return [id.decode() for id in redis.lrange(f"rq:queue:{queue}", 0, -1)]


def deferred(stage: Stage) -> list[str]:
    """The ids of the effects that have failed and are tried again later."""
    with stage.site.redis() as redis:
        ids = [id.decode() for id in redis.zrange(f"rq:scheduled:{EFFECTS}", 0, -1)]
        return [id for id in ids if redis.hexists(f"rq:job:{id}", "first_failed_at")]


def wait_longer(redis: Any, queue: str, seconds: float) -> None:
    """What is in a queue has waited for so much longer."""
    since = datetime.fromtimestamp(now(redis), UTC) - timedelta(seconds=seconds)
    for id in redis.lrange(f"rq:queue:{queue}", 0, -1):
        text = since.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        redis.hset(f"rq:job:{id.decode()}", "enqueued_at", text)


TROUBLES = {
    "IdentityNotScraped": not_scraped,
    "IdentityRedisAway": redis_away,
    "IdentityLedgerAway": ledger_away,
    "IdentityMigrationsPending": migrations_pending,
    "IdentityNoWorkers": no_workers,
    "IdentityWorkersSuspended": workers_suspended,
    "IdentityClockStopped": clock_stopped,
    "IdentityEventsWaiting": events_waiting,
    "IdentityEffectsWaiting": effects_waiting,
    "IdentityDeferred": jobs_deferred,
    "IdentityDeadLetters": dead_letters,
    "IdentityWorkersDying": workers_dying,
}
