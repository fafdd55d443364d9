"""What is told of jobs to whoever records their way. Free of OpenTelemetry, which may be absent."""

from __future__ import annotations

from typing import NamedTuple


class Sent(NamedTuple):
    """A job that was to be put into its queue, and what became of it."""

    job_id: str
    description: str  # of ids and types only: what kind it is, and its session
    outcome: str  # as `enqueue` answers it


class Attempt(NamedTuple):
    """A job that is about to be run."""

    job_id: str
    made: int  # attempts before this one
    failed_span: str  # of the last one that failed, in 16 hex digits; "" if none has


class Received(NamedTuple):
    """A delivery that was answered. Times are in nanoseconds since 1970."""

    job: Sent
    queue: str
    route: str
    began: int
    submitted: int
    traceparent: str  # what came with it; "" if nothing did
    status: int
    error: str = ""  # the class of why it was not taken
