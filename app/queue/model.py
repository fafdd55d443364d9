"""What a job is: its queue, its call, and the forms it has on its way."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import Any, NamedTuple

from rq.queue import Queue
from rq.registry import (
    FailedJobRegistry,
    FinishedJobRegistry,
    ScheduledJobRegistry,
    StartedJobRegistry,
)
from rq.worker import Worker

from app.domain.effects import PendingEffect
from app.domain.event import PACKED_FIELDS, SessionEvent

# Jobs that one `enqueue` or `claim` moves at most: 20 a transaction give half the speed of 100, and
# 300 gain little and would block Redis for longer.
MAX_BATCH = 100


@dataclass(frozen=True, slots=True)
class QueueSpec:
    """A queue of ours: its name in RQ and the only function its jobs may name."""

    name: str
    function: str
    time_limit: int  # seconds a job may run at most; RQ shows it as the job's timeout
    # Whether accepting a dead letter anew puts it back: a resend of Stripe's does, the clock's
    # second look at an effect does not.
    resend_revives: bool
    # Jobs that a worker claims at once. Events of one batch share a transaction; an effect waits
    # for other people's servers, and others must not wait behind it.
    batch: int
    # What the values of a payload are, in their order: people read a dead letter by names.
    fields: tuple[str, ...]


EVENTS = QueueSpec(
    name="events",
    function="workers.jobs.process_event",
    time_limit=20,
    resend_revives=True,
    batch=MAX_BATCH,
    fields=PACKED_FIELDS,
)
EFFECTS = QueueSpec(
    name="effects",
    function="workers.jobs.run_effect",
    time_limit=20,
    resend_revives=False,
    batch=1,
    fields=PendingEffect.__slots__,
)


@dataclass(frozen=True, slots=True)
class NewJob:
    """What `enqueue` puts into the queue. `payload` is the function's one argument, JSON-able."""

    id: str
    payload: Any
    description: str  # ids and types only: RQ shows it everywhere
    delay: float = 0  # seconds


@dataclass(frozen=True, slots=True)
class Claimed:
    """A job that this worker holds a lease on."""

    id: str
    data: bytes
    attempts: int
    token: str


@dataclass(frozen=True, slots=True)
class Rescued:
    """What one `rescue` moved."""

    expired: int = 0
    buried: int = 0


def keys_of(spec: QueueSpec, worker_name: str) -> list[str]:
    """RQ's keys, as RQ's own classes name them; the order is the prelude's."""
    name = spec.name
    return [
        Queue.redis_queue_namespace_prefix + name,
        Queue.redis_queues_keys,
        StartedJobRegistry.key_template.format(name),
        ScheduledJobRegistry.key_template.format(name),
        FailedJobRegistry.key_template.format(name),
        FinishedJobRegistry.key_template.format(name),
        Worker.redis_worker_namespace_prefix + worker_name,
    ]


# Made once: `json.dumps` makes an encoder for each call.
_to_json = json.JSONEncoder(separators=(",", ":")).encode


def encode(function: str, *arguments: Any) -> str:
    """A call as RQ's JSON serializer writes it."""
    return _to_json([function, None, list(arguments), {}])


class Call(NamedTuple):
    """What a job names: a function, and its arguments."""

    function: str
    arguments: list[Any]


def decode(data: bytes) -> Call:
    """The function's name and arguments of a job. Raises ValueError for another form."""
    if data.startswith(b"x"):  # a job that RQ's tools have saved again is compressed
        try:
            data = zlib.decompress(data)
        except zlib.error as error:
            raise ValueError("a job's data is neither JSON nor compressed") from error
    match json.loads(data):
        case [str(function), _, list(arguments), _]:
            return Call(function, arguments)
    raise ValueError("a job's data is [function, null, [arguments], {}]")


def named(spec: QueueSpec, payload: Any) -> dict[str, Any]:
    """A payload's values by name; empty if it is of no form that can be named."""
    if isinstance(payload, dict):  # another version's, or another tool's
        return payload
    if not isinstance(payload, list) or len(payload) != len(spec.fields):
        return {}
    return dict(zip(spec.fields, payload, strict=True))


def event_job(event: SessionEvent) -> NewJob:
    """The job that brings an accepted event into the ledger."""
    return NewJob(event.id, event.pack(), f"{event.name} {event.snapshot.id}")


def effect_job(effect: PendingEffect, now: float) -> NewJob:
    """The job that runs an effect when it is due; `now` is in Unix seconds."""
    description = f"{effect.kind} {effect.session_id}"
    return NewJob(effect.id, effect.pack(), description, max(0, effect.due - now))
