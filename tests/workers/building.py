"""Events and workers for the tests of this folder."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

from redis import Redis

from app.domain.event import SessionEvent
from app.queue.jobs import JobQueue
from app.queue.model import EVENTS, NewJob
from tests.domain.builders import OPENED, event_body
from workers.jobs import Context, call
from workers.worker import Worker

NOW = float(OPENED + 1_000_000)


def payload(name: str = "created", status: str = "requires_input", **fields: Any) -> dict[str, Any]:
    """An event as it stands in the queue; `fields` are those of `event_body`."""
    event = SessionEvent.parse(event_body(name, status, **fields))
    assert event is not None
    return event.to_dict()


def event_job(id: str = "evt_1", *names: str, **fields: Any) -> NewJob:
    """The job that the web process makes of an event; `names` are its name and status."""
    found = payload(*names, id=id, **fields)
    return NewJob(id, found, f"{found['type']} {found['session_id']}")


def worker_of(
    redis: Redis,
    run: Callable[[str, list[Any]], None] | Context,
    *,
    queue: JobQueue | None = None,
    lease: int = 60,
    **options: Any,
) -> Worker:
    """A worker of the events, registered; it hears no commands and takes over no signals."""
    numbers = itertools.count(1)
    worker = Worker(
        queue or JobQueue(redis, EVENTS),
        partial(call, context=run) if isinstance(run, Context) else run,
        lease=lease,
        token=lambda: f"lease{next(numbers)}",
        chance=lambda: 1.0,
        **options,
    )
    worker.register_birth()
    return worker
