"""What a job is: its queue, its call, and the forms it has on its way."""

from __future__ import annotations

import zlib
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import msgspec
from rq.queue import Queue
from rq.registry import (
    CanceledJobRegistry,
    FailedJobRegistry,
    FinishedJobRegistry,
    ScheduledJobRegistry,
    StartedJobRegistry,
)
from rq.results import Result
from rq.serializers import JSONSerializer
from rq.worker import Worker

from app.domain.effects import PendingEffect
from app.domain.errors import LaterRelease
from app.domain.event import PACKED_FIELDS, SessionEvent
from app.domain.thin_event import THIN_FIELDS, ThinEvent

# Jobs that one `enqueue` or `claim` moves at most: 20 a transaction give half the speed of 100, and
# 300 gain little and would block Redis for longer.
MAX_BATCH = 100
# The form of payloads, which stands behind each: PACKED_FIELDS, THIN_FIELDS and PendingEffect. A
# release that changes it raises it, reads the earlier ones too, and keeps what stands around it:
# [function, null, [payload, format], {}].
FORMAT = 1
# Bytes of a job's data. Ours have 60,000 at most; a few that inflate to gigabytes end a worker.
MAX_INFLATED = 1024 * 1024


@dataclass(frozen=True, slots=True)
class QueueSpec:
    """A queue of ours: its names and the only function its jobs may name."""

    name: str  # what people call it: in commands, logs and metrics
    rq_name: str  # its own even where other RQ applications use the same database
    function: str
    time_limit: int  # seconds a job may run at most; RQ shows it as the job's timeout
    # Whether accepting a dead letter anew puts it back: a resend of Stripe's does, the clock's
    # second look at an effect does not.
    resend_revives: bool
    # Jobs that a worker claims at once. Events of one batch share a transaction; an effect waits
    # for other people's servers, and others must not wait behind it.
    batch: int
    # Whether what is scheduled or dead is found by its session: it may name a person.
    by_session: bool
    # What the values of a payload are, in their order: people read a dead letter by names.
    fields: tuple[str, ...]


EVENTS = QueueSpec(
    name="events",
    rq_name="identity-events",
    function="workers.jobs.process_event",
    time_limit=20,
    resend_revives=True,
    batch=MAX_BATCH,
    by_session=True,
    fields=PACKED_FIELDS,
)
EFFECTS = QueueSpec(
    name="effects",
    rq_name="identity-effects",
    function="workers.jobs.run_effect",
    time_limit=20,
    resend_revives=False,
    batch=1,
    by_session=False,
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
    failed_span: str = ""  # of the attempt that failed last, where traces were on


@dataclass(frozen=True, slots=True)
class Rescued:
    """What one `rescue` found."""

    expired: int = 0  # leases, whose jobs are queued again
    suspects: tuple[Claimed, ...] = ()  # that have lost their worker too often


def counts_key(spec: QueueSpec) -> str:
    """The key of what the scripts count of a queue, for the metrics."""
    return f"identity:counts:{spec.name}"


# In the place of a key that there is none of. No pattern of an ACL matches an empty one.
NO_KEY = "identity:no_key"


def keys_of(spec: QueueSpec, worker_name: str) -> list[str]:
    """RQ's keys, as RQ's own classes name them, and ours; the order is the prelude's."""
    name = spec.rq_name
    return [
        Queue.redis_queue_namespace_prefix + name,
        Queue.redis_queues_keys,
        StartedJobRegistry.key_template.format(name),
        ScheduledJobRegistry.key_template.format(name),
        FailedJobRegistry.key_template.format(name),
        FinishedJobRegistry.key_template.format(name),
        Worker.redis_worker_namespace_prefix + worker_name,
        CanceledJobRegistry.key_template.format(name),
        Result.get_key(""),
        f"identity:claim:{worker_name}" if worker_name else NO_KEY,
        counts_key(spec),
        f"identity:by_session:{spec.name}:" if spec.by_session else NO_KEY,
        f"identity:idle:{spec.name}",
        "identity:wake:",  # and a worker's name
    ]


def failed_result(text: str, worker_name: str, traceback: str = "") -> list[Any]:
    """A failed run as RQ keeps it in its stream of results, for its readers: names and values.

    RQ compresses `text`, which is one line, and the `traceback` below it.
    """
    result = Result(
        "",
        Result.Type.FAILED,
        cast(Any, None),
        exc_string=f"{text}\n\n{traceback}" if traceback else text,
        worker_name=worker_name,
        serializer=JSONSerializer,
    )
    return [part for pair in result.serialize().items() for part in pair]


def traceback_in(result: Mapping[bytes, bytes]) -> str:
    """The traceback in a result that `failed_result` made; "" if there is none."""
    try:
        text = _inflate(b64decode(result.get(b"exc_string", b"")))
    except ValueError:
        return ""
    return text.decode(errors="replace").partition("\n\n")[2]


# Made once, and several times as fast as `json`: each event is written once and read once.
_to_json = msgspec.json.Encoder().encode
_from_json = msgspec.json.Decoder().decode


def encode(function: str, *payload: Any) -> bytes:
    """A call as RQ's JSON serializer writes it: of one payload and its FORMAT, or of nothing."""
    return _to_json((function, None, (*payload, FORMAT) if payload else (), {}))


# What a finished job calls: RQ reads no job without a call, and a shorter one takes less room.
NOTHING = encode("")


class Call(NamedTuple):
    """What a job names: a function, and its arguments."""

    function: str
    arguments: list[Any]


def decode(data: bytes) -> Call:
    """The function's name and arguments of a job, without the FORMAT that is the last of them.

    Raises LaterRelease for a later format, and ValueError for what is of no form.
    """
    if data.startswith(b"x"):  # a job that RQ's tools have saved again is compressed
        data = _inflate(data)
    try:
        call = _from_json(data)
    except msgspec.DecodeError as error:
        raise ValueError("a job's data is not JSON") from error
    match call:
        case [str(function), _, [payload, int(version)], _]:
            if version > FORMAT:
                raise LaterRelease(f"the job is of format {version}; this release knows {FORMAT}")
            return Call(function, [payload])
        case [str(function), _, list(arguments), _]:
            return Call(function, arguments)
    raise ValueError("a job's data is [function, null, [arguments], {}]")


def _inflate(data: bytes) -> bytes:
    inflating = zlib.decompressobj()
    try:
        inflated = inflating.decompress(data, MAX_INFLATED)
    except zlib.error as error:
        raise ValueError("a job's data is neither JSON nor compressed") from error
    if not inflating.eof:
        raise ValueError(f"a job's data is cut short, or over {MAX_INFLATED} bytes when inflated")
    return inflated


def named(spec: QueueSpec, payload: Any) -> dict[str, Any]:
    """A payload's values by name; empty if it is of no form that can be named."""
    if isinstance(payload, dict):  # another version's, or another tool's
        return payload
    if not isinstance(payload, list) or len(payload) not in (len(spec.fields), len(THIN_FIELDS)):
        return {}
    return dict(zip(spec.fields, payload, strict=False))  # a thin event's are the first of them


def event_job(event: SessionEvent | ThinEvent) -> NewJob:
    """The job that brings an accepted event into the ledger."""
    session = event.session if isinstance(event, ThinEvent) else event.snapshot
    return NewJob(event.id, event.pack(), f"{event.name} {session.id}")


def effect_job(effect: PendingEffect, now: float) -> NewJob:
    """The job that runs an effect when it is due; `now` is in Unix seconds."""
    description = f"{effect.kind} {effect.session_id}"
    return NewJob(effect.id, effect.pack(), description, max(0, effect.due - now))
