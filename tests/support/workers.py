"""Events as jobs, and workers that run on demand, at a time that stands still."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from redis import Redis

from app.domain.errors import Transient
from app.domain.event import SessionEvent
from app.domain.reconcile import Applied
from app.domain.session import Observation
from app.operations.apply import apply_observations
from app.queue.model import EVENTS, Call, NewJob, named
from app.queue.transitions import JobQueue
from tests.support.events import OPENED, event_body
from workers.context import Context
from workers.jobs import call
from workers.redaction import bare
from workers.worker import Worker

NOW = float(OPENED + 1_000_000)


def with_stores(context: Context, **stores: Any) -> Context:
    """The same context with these of its stores replaced, by their names."""
    return replace(context, stores=replace(context.stores, **stores))


def offline(context: Context, now: float = NOW) -> Context:
    """The same without Stripe, at a time that stands still."""
    return replace(with_stores(context, stripe=None), now=lambda: now)


def apply_one(context: Context, observation: Observation) -> Applied:
    """Apply one observation as a worker does, its effects enqueued; what it did."""
    (applied,) = apply_observations([observation], context.stores, context.now())
    return applied


def payload(name: str = "created", status: str = "requires_input", **fields: Any) -> list[Any]:
    """An event as it stands in the queue; `fields` are those of `event_body`."""
    event = SessionEvent.parse(event_body(name, status, **fields))
    assert event is not None
    return event.pack()


def event_job(id: str = "evt_1", *names: str, **fields: Any) -> NewJob:
    """The job that the web process makes of an event; `names` are its name and status."""
    found = payload(*names, id=id, **fields)
    shown = named(EVENTS, found)
    return NewJob(id, found, f"{shown['name']} {shown['session_id']}")


def run_alone(run: Callable[[str, list[Any]], None], calls: Sequence[Call]) -> None:
    """Run one job by a test's function, which is not asked for several at once."""
    if len(calls) > 1:
        raise Transient("a test's function runs each job alone")
    run(*calls[0])


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
    if isinstance(run, Context):
        options.setdefault("check_ledger", run.stores.ledger.check_writable)
    worker = Worker(
        queue or JobQueue(redis, EVENTS),
        partial(call, context=run) if isinstance(run, Context) else partial(run_alone, run),
        lease=lease,
        token=lambda: f"lease{next(numbers)}",
        chance=lambda: 1.0,
        bare=partial(bare, context=run) if isinstance(run, Context) else lambda data, limit: b"",
        **options,
    )
    worker.register_birth()
    return worker


def running_all(
    worker: Worker, run: Callable[[Sequence[Call]], None] = lambda calls: None
) -> Worker:
    """The same worker, which runs the jobs of a batch together, by `run`."""
    worker._run_calls = run
    return worker


def impatient(worker: Worker) -> Worker:
    """The same worker, which does not wait if there is no job."""
    worker.jobs.wait = lambda seconds=0: False  # type: ignore[method-assign]  # of this one alone
    return worker
