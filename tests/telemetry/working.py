"""Workers whose spans are recorded, inside the test."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from starlette.datastructures import Secret

from app.configuration.settings import Settings
from app.queue.model import NewJob
from app.queue.transitions import JobQueue
from tests.notifications.receiver import SECRET
from tests.support.places import counts, members
from tests.support.workers import NOW, event_job, offline
from tests.telemetry.recording import Recording
from workers.context import Context
from workers.jobs import call
from workers.traced import TracedWorker


def verified(number: int = 1) -> NewJob:
    """The event that verifies a user of its own: evt_1 is of vs_1 and user-1."""
    return event_job(
        f"evt_{number}",
        "verified",
        "verified",
        session=f"vs_{number}",
        reference=f"user-{number}",
    )


@dataclass
class Working:
    """What they work on."""

    context: Context
    recording: Recording

    @property
    def events(self) -> JobQueue:
        return self.context.stores.events

    @property
    def effects(self) -> JobQueue:
        return self.context.stores.effects

    def worker(self, queue: JobQueue) -> TracedWorker:
        """One of this queue."""
        numbers = itertools.count(1)
        worker = TracedWorker(
            queue,
            partial(call, context=self.context),
            lease=60,
            token=lambda: f"lease{next(numbers)}",
            chance=lambda: 1.0,
            check_ledger=self.context.stores.ledger.check_writable,
            spans=self.recording.spans,
        )
        worker.register_birth()
        return worker

    def enqueue(self, *jobs: NewJob) -> None:
        """As backfill does, and the clock."""
        self.events.enqueue_all(jobs)

    def run_events(self) -> None:
        """One batch of them."""
        self.worker(self.events).run_once()

    def run_effects(self) -> None:
        """All that are queued."""
        worker = self.worker(self.effects)
        while counts(self.effects)["queued"]:
            worker.run_once()

    def hurry(self, queue: JobQueue) -> None:
        """What waits for its next try is due now."""
        scheduled = f"rq:scheduled:{queue.spec.rq_name}"
        redis = self.context.stores.redis
        redis.zadd(scheduled, dict.fromkeys(members(redis, scheduled), 1))
        queue.promote()


@contextmanager
def working(
    recording: Recording, redis_url: str, database_url: str, notify_url: str
) -> Iterator[Working]:
    """With a ledger that is migrated, and without Stripe."""
    settings = Settings(
        redis_url=Secret(redis_url),
        database_url=Secret(database_url),
        notify_url=notify_url,
        notify_secrets=(Secret(SECRET),),
        notify_allow_private=True,
    )
    context = offline(Context.of(settings, recording.spans), NOW)
    yield Working(context, recording)
    context.stores.close()
