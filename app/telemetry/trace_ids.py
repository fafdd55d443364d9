"""Trace ids, derived from the ids of jobs: nothing about a trace is kept or sent with a job.

Every process, and everybody with a shell, works out the same trace from an event's id. So the
retries of a job, its replays, the effects of its event and Stripe's second deliveries fall into one
trace, at no cost in the queue or the ledger.
"""

from __future__ import annotations

from hashlib import sha256

from structlog.typing import EventDict

EVENT_PREFIX = "evt_"
# Of the id of an effect that no event asked for, the parts that name its occasion.
OCCASION_PARTS = 3
# The fields of a log line that hold a job's id, or the id of the event that it is about.
ID_FIELDS = ("event_id", "job_id", "effect_id")


def cause_of(job_id: str) -> str:
    """What a job is about: its event's id, or the occasion of an effect that no event asked for.

    `evt_1-notify-3-notify_callback` is about `evt_1`, and `vs_1-1700000000-verified-recheck` about
    `vs_1-1700000000-verified`.
    """
    parts = job_id.split("-")
    return "-".join(parts[: 1 if job_id.startswith(EVENT_PREFIX) else OCCASION_PARTS])


def trace_id_of(job_id: str) -> str:
    """The trace of a job, in 32 hex digits: those that the SHA-256 of its cause begins with."""
    return sha256(cause_of(job_id).encode()).hexdigest()[:32]


def send_span_id_of(job_id: str) -> str:
    """The span, in 16 hex digits, in which a job was first put into its queue."""
    return sha256(f"send {job_id}".encode()).hexdigest()[:16]


def with_trace_id(logger: object, name: str, line: EventDict) -> EventDict:
    """A processor of log lines: one that names an event or a job names its trace as well."""
    for field in ID_FIELDS:
        if isinstance(line.get(field), str):
            line.setdefault("trace_id", trace_id_of(line[field]))
            break
    return line
