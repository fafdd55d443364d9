"""A queue, a ledger and a worker that runs on demand; and how letters come to be dead."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

from redis import Redis

from app.configuration.settings import Settings
from app.domain.event import SessionEvent
from app.ledger.ledger import Ledger
from app.ledger.rows import ReferenceRecord
from app.queue.dead_letters import DeadLetters
from app.queue.model import EVENTS, NewJob
from app.queue.transitions import JobQueue
from app.stores import Stores
from tests.support.events import OPENED
from tests.support.places import everything, failing_for
from tests.support.workers import apply_one, event_job, impatient, offline, worker_of
from workers.context import Context
from workers.jobs import process_event
from workers.worker import Worker


def letter(
    id: str, status: str = "verified", reference: str | None = "user-1", at: int = 0, **fields: Any
) -> NewJob:
    """An event's job, entering `status` so many seconds after the first of all."""
    session = fields.pop("session", f"vs_{reference or id}")
    return event_job(
        id, status, status, reference=reference, session=session, at=OPENED + at, **fields
    )


@dataclass(frozen=True)
class Deployment:
    """What the commands work on, with hands of its own to look into it."""

    context: Context
    database_url: str

    @property
    def stores(self) -> Stores:
        return self.context.stores

    @property
    def redis(self) -> Redis:
        return self.stores.redis

    @property
    def ledger(self) -> Ledger:
        return self.stores.ledger

    @property
    def events(self) -> JobQueue:
        return self.stores.events

    @property
    def letters(self) -> DeadLetters:
        return DeadLetters(self.redis, EVENTS)

    @property
    def dead(self) -> set[str]:
        """The ids of the dead letters."""
        return {letter.id for letter in self.letters}

    def bury(
        self,
        *jobs: NewJob,
        reason: str = "permanent_error",
        error_class: str = "Broken",
        queue: JobQueue | None = None,
    ) -> None:
        """Make dead letters of these, in this order."""
        queue = queue or self.events
        queue.enqueue_all(jobs)
        for job in queue.claim("token", 60, len(jobs)):
            assert queue.bury(job, reason, error_class, "it broke")

    def defer(
        self,
        *jobs: NewJob,
        error_class: str = "Busy",
        seconds: float = 0,
        queue: JobQueue | None = None,
    ) -> None:
        """Have these fail, to be tried again; they have failed for so many seconds by now."""
        queue = queue or self.events
        queue.enqueue_all(jobs)
        for job in queue.claim("token", 60, len(jobs)):
            assert queue.retry_later(job, 600, error_class, f"{error_class} for now")
            failing_for(self.redis, job.id, seconds)

    def bury_effect(self, event_id: str = "evt_1") -> str:
        """Apply an event that asks for an effect, which dies; its id."""
        observed = SessionEvent.unpack(letter(event_id, "processing").payload).observation()
        (effect,) = apply_one(self.context, observed).effects
        self.redis.zadd("rq:scheduled:identity-effects", {effect.id: 1})
        self.stores.effects.promote()
        (job,) = self.stores.effects.claim("token", 60, 1)
        assert self.stores.effects.bury(job, "permanent_error", "Broken", "it broke")
        return effect.id

    def age(self, id: str, **ago: float) -> None:
        """The letter has been dead for so long."""
        died = datetime.now(UTC) - timedelta(**ago)
        self.redis.hset(f"rq:job:{id}", "last_failed_at", died.isoformat())
        self.redis.zadd("rq:failed:identity-events", {id: -died.timestamp()})

    def apply(self, *jobs: NewJob) -> None:
        """Bring these into the ledger, past the queue."""
        for job in jobs:
            process_event(job.payload, self.context)

    def worker(self) -> Worker:
        """One that does not wait if there is nothing to do."""
        return impatient(worker_of(self.redis, self.context))

    def record(self, reference: str) -> ReferenceRecord:
        """All of a reference that was seen before."""
        found = self.ledger.read_reference(reference, livemode=False)
        assert found is not None
        return found

    def standing(self, reference: str) -> tuple[str, int]:
        """A reference's status and version."""
        standing = self.record(reference).standing
        return standing.status, standing.version

    def snapshot(self) -> tuple[Any, ...]:
        """All that Redis and the ledger hold, to the byte."""
        tables = ("events", "sessions", "attempts", "standings", "timeline", "effects")
        with self.stores.engine.connect() as connection:
            rows = [
                tuple(map(tuple, connection.exec_driver_sql(f"SELECT * FROM {table}").all()))
                for table in tables
            ]
        return everything(self.redis), rows


@contextmanager
def opened_deployment(redis_url: str, database_url: str) -> Iterator[Deployment]:
    """An empty one, for a Redis and a ledger that are empty; with a key, and without Stripe."""
    settings = Settings.from_environment(
        {"REDIS_URL": redis_url, "DATABASE_URL": database_url, "STRIPE_API_KEY": "sk_test_123"}
    )
    context = offline(Context.of(settings))
    # What workers log is no part of what commands say.
    with patch("workers.jobs.log"), patch("workers.worker.log"), patch("workers.failing.log"):
        yield Deployment(context, database_url)
    context.stores.close()
