"""How much of Redis' memory a job takes: what docs/how-to/scale.md says, measured."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping

import pytest
from redis import Redis

from app.queue.model import EVENTS, Claimed, NewJob
from app.queue.transitions import JobQueue
from tests.docs.pages import DOCS, section
from tests.support.workers import event_job

pytestmark = pytest.mark.slow
JOBS = 5_000
WITHIN = 0.25


def jobs() -> list[NewJob]:
    """Events whose ids have the length of Stripe's, and a reference of 13 characters."""
    return [
        event_job(
            f"evt_{number:024}",
            "verified",
            "verified",
            session=f"vs_{number:024}",
            reference=f"user_{number:08}",
        )
        for number in range(JOBS)
    ]


def used(redis: Redis) -> int:
    """Bytes that the server holds."""
    redis.execute_command("MEMORY PURGE")
    return int(redis.info("memory")["used_memory"])


def documented() -> Mapping[str, float]:
    """The page's table: bytes by row."""
    rows = re.findall(
        r"\| \*\*an event, (\w+)\*\*.*?\| ([\d,]+) B \|",
        section(DOCS / "how-to/scale.md", "Redis memory"),
    )
    return {name: float(bytes_each.replace(",", "")) for name, bytes_each in rows}


def filled(redis: Redis) -> tuple[JobQueue, int]:
    """A queue of one event, and what the server holds then."""
    # Before it is measured, not after: what went in the background would count for what came.
    redis.execute_command("FLUSHALL SYNC")
    queue = JobQueue(redis, EVENTS)
    queue.enqueue_all([event_job("evt_first", "created", "requires_input")])
    return queue, used(redis)


def batches(queue: JobQueue) -> Iterator[tuple[str, list[Claimed]]]:
    """All that is queued, claimed in batches; each under a token of its own."""
    for number in itertools.count():
        claimed = queue.claim(f"lease{number}", 60, 100)
        if not claimed:
            return
        yield f"lease{number}", claimed


def measure(redis: Redis) -> Mapping[str, float]:
    """Bytes of an event in each place where one may be."""
    queue, before = filled(redis)
    queue.enqueue_all(jobs())
    found = {"queued": (used(redis) - before) / JOBS}
    for token, claimed in batches(queue):
        queue.complete(token, [job.id for job in claimed])
    found["finished"] = (used(redis) - before) / JOBS
    queue, before = filled(redis)
    queue.enqueue_all(jobs())
    for _, claimed in batches(queue):
        for job in claimed:
            assert queue.retry_later(job, 3600, "LedgerUnavailable", "the ledger does not answer")
    found["deferred"] = (used(redis) - before) / JOBS
    queue, before = filled(redis)
    queue.enqueue_all(jobs())
    for _, claimed in batches(queue):
        for job in claimed:
            assert queue.bury(job, "permanent_error", "LedgerBroken", "the ledger refused it")
    found["dead"] = (used(redis) - before) / JOBS
    return found


def test_an_event_takes_as_much_memory_as_the_page_says(redis: Redis) -> None:
    measured, said = measure(redis), documented()
    assert said.keys() == measured.keys(), measured
    for name, bytes_each in measured.items():
        assert bytes_each == pytest.approx(said[name], rel=WITHIN), measured
