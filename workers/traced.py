"""The worker with traces on: each job that it runs is a span."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.queue.model import Call, Claimed
from app.telemetry.records import Attempt
from workers.worker import Worker

if TYPE_CHECKING:
    from app.telemetry.spans import Spans


class TracedWorker(Worker):
    """Works as any other."""

    def __init__(self, *options: Any, spans: Spans, **named_options: Any) -> None:
        """`spans` are those of this process; all else is Worker's."""
        super().__init__(*options, **named_options)
        self._spans = spans

    def _run_limited(self, calls: list[tuple[Claimed, Call]], limit: float) -> None:
        attempts = [Attempt(job.id, job.attempts, job.failed_span) for job, _ in calls]
        with self._spans.processing(self.jobs.spec.rq_name, attempts):
            super()._run_limited(calls, limit)
