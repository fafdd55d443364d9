"""A queue, a ledger and a worker that runs when it is told to; and how letters come to be dead."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from redis import Redis

from app.domain.event import SessionEvent
from app.ledger import migrate
from app.ledger.engine import open_engine
from app.ledger.ledger import Ledger
from app.ledger.rows import ReferenceRecord
from app.queue.dead_letters import DeadLetters
from app.queue.jobs import JobQueue
from app.queue.model import EVENTS, NewJob
from app.settings import Settings
from tests.domain.builders import OPENED
from tests.queue.places import everything
from tests.workers.building import NOW, event_job, worker_of
from workers.jobs import Context, process_event
from workers.worker import Worker


def migrated_file(folder: Path) -> Path:
    """A ledger without rows, to copy."""
    path = folder / "migrated.db"
    engine = open_engine(f"sqlite:///{path}")
    migrate.upgrade(engine)
    engine.dispose()
    return path


def letter(
    id: str, status: str = "verified", reference: str | None = "user-1", at: int = 0, **fields: Any
) -> NewJob:
    """An event's job, entering `status` so many seconds after the first of all."""
    session = fields.pop("session", f"vs_{reference or id}")
    return event_job(
        id, status, status, reference=reference, session=session, at=OPENED + at, **fields
    )


@dataclass(frozen=True)
class House:
    """What the commands work on, with hands of its own to look into it."""

    context: Context
    database_url: str

    @property
    def redis(self) -> Redis:
        return self.context.events.connection

    @property
    def ledger(self) -> Ledger:
        return self.context.ledger

    @property
    def events(self) -> JobQueue:
        return self.context.events

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
        queue.accept_all(jobs)
        for job in queue.claim("token", 60, len(jobs)):
            assert queue.bury(job, reason, error_class, "it broke")

    def bury_effect(self, event_id: str = "evt_1") -> str:
        """Apply an event that asks for an effect, which dies; its id."""
        observed = SessionEvent.from_dict(letter(event_id, "processing").payload).observation()
        (effect,) = self.context.apply(observed).effects
        self.redis.zadd("rq:scheduled:effects", {effect.id: 1})
        self.context.effects.release()
        (job,) = self.context.effects.claim("token", 60, 1)
        assert self.context.effects.bury(job, "permanent_error", "Broken", "it broke")
        return effect.id

    def age(self, id: str, **ago: float) -> None:
        """The letter has been dead for so long."""
        died = datetime.now(UTC) - timedelta(**ago)
        self.redis.hset(f"rq:job:{id}", "last_failed_at", died.isoformat())
        self.redis.zadd("rq:failed:events", {id: -died.timestamp()})

    def apply(self, *jobs: NewJob) -> None:
        """Bring these into the ledger, past the queue."""
        for job in jobs:
            process_event(job.payload, self.context)

    def worker(self) -> Worker:
        """One that does not wait where there is nothing to do."""
        worker = worker_of(self.redis, self.context)
        worker.jobs.wait = lambda seconds=0: False  # type: ignore[method-assign]
        return worker

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
        tables = ("events", "sessions", "attempts", '"references"', "timeline", "effects")
        with self.ledger._engine.connect() as connection:
            rows = [
                tuple(map(tuple, connection.exec_driver_sql(f"SELECT * FROM {table}").all()))
                for table in tables
            ]
        return everything(self.redis), rows


@contextmanager
def opened_house(redis_url: str, migrated: Path, folder: Path) -> Iterator[House]:
    """An empty one, for a Redis that is empty; with a key, and without Stripe."""
    url = f"sqlite:///{shutil.copy(migrated, folder / 'ledger.db')}"
    settings = Settings.from_environment(
        {"REDIS_URL": redis_url, "DATABASE_URL": url, "STRIPE_API_KEY": "sk_test_123"}
    )
    context = replace(Context.of(settings), stripe=None, now=lambda: NOW)
    # What workers log is no part of what commands say.
    with patch("workers.jobs.log"), patch("workers.worker.log"):
        yield House(context, url)
    context.ledger.close()
    context.events.connection.close()
