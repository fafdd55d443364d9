"""The queue with traces on: what comes into it, and what becomes of jobs that fail, is recorded."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from redis import Redis

from app.queue.counts import Tally
from app.queue.model import Claimed, NewJob, QueueSpec
from app.queue.transitions import JobQueue
from app.telemetry.records import Attempt, Sent

if TYPE_CHECKING:
    from app.telemetry.spans import Spans

# What becomes of a job whose lease another worker has by now, and of one when Redis does not say.
LEASE_LOST, UNKNOWN = "lease_lost", "unknown"


class TracedJobQueue(JobQueue):
    """The same transitions. A job that fails takes the span of that attempt along to the next."""

    def __init__(
        self,
        connection: Redis,
        spec: QueueSpec,
        worker_name: str = "",
        tally: Tally | None = None,
        *,
        spans: Spans,
    ) -> None:
        """`spans` are those of this process; all else is JobQueue's."""
        super().__init__(connection, spec, worker_name, tally)
        self._spans = spans

    def of_worker(self, name: str) -> JobQueue:
        """The same queue, for claims of this worker."""
        return TracedJobQueue(self.connection, self.spec, name, self.tally, spans=self._spans)

    def _enqueue(self, jobs: Iterable[NewJob], revives: str) -> list[str]:
        jobs, began = list(jobs), time.time_ns()
        outcomes = super()._enqueue(jobs, revives)
        told = zip(jobs, outcomes, strict=True)
        sent = [Sent(job.id, job.description, outcome) for job, outcome in told]
        self._spans.sent(self.spec.rq_name, sent, began)
        return outcomes

    def retry_later(
        self, job: Claimed, delay: float, error_class: str, *told: Any, **options: Any
    ) -> bool:
        """As JobQueue's; the attempt's span ends."""
        with self._settling(job, error_class) as outcome:
            held = super().retry_later(job, delay, error_class, *told, **options)
            outcome.told(held, "deferred")
        return held

    def bury(self, job: Claimed, reason: str, error_class: str, *told: Any, **options: Any) -> bool:
        """As JobQueue's; the attempt's span ends."""
        with self._settling(job, error_class) as outcome:
            held = super().bury(job, reason, error_class, *told, **options)
            outcome.told(held, "buried", reason)
        return held

    def leave(self, job: Claimed, delay: float) -> bool:
        """As JobQueue's; the attempt's span ends."""
        with self._settling(job, "LaterRelease") as outcome:
            held = super().leave(job, delay)
            outcome.told(held, "left")
        return held

    def release(self, token: str, ids: Sequence[str]) -> int:
        """As JobQueue's; the span ends of a job that was begun while the ledger was away."""
        released = super().release(token, ids)
        for id in ids:
            self._spans.settled(id, "released")
        return released

    def _failed_span(self, job: Claimed) -> str:
        return self._spans.failed_span_of(job.id)

    @contextmanager
    def _settling(self, job: Claimed, error_class: str) -> Iterator[_Outcome]:
        """Within it Redis is told what becomes of an attempt; then its span ends."""
        attempt = Attempt(job.id, job.attempts, job.failed_span)
        self._spans.failed(self.spec.rq_name, attempt, error_class)
        outcome = _Outcome()
        try:
            yield outcome
        finally:
            self._spans.settled(job.id, outcome.name, outcome.reason)


class _Outcome:
    """What becomes of an attempt that has failed."""

    name, reason = UNKNOWN, ""

    def told(self, held: bool, name: str, reason: str = "") -> None:
        """Redis has answered; `held` is whether the job was still this worker's."""
        self.name, self.reason = (name, reason) if held else (LEASE_LOST, "")
