"""The spans of a job's way: delivery, queue, processing, callback. Imported where traces are on.

By OpenTelemetry's conventions for messaging and HTTP
(https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/). A span holds ids and codes
only: no address, which may hold a secret, no reference, and of an error its class.

Each event has a `process` span of its own, in its own trace, also where a hundred of them share one
transaction: a span of the batch would link to a hundred traces, none of which would show when its
event was processed, nor hold what follows from it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from opentelemetry import context as contexts
from opentelemetry.context import Context
from opentelemetry.trace import (
    Span,
    SpanContext,
    SpanKind,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from structlog.contextvars import bound_contextvars

from app.telemetry.records import Attempt, Received, Sent
from app.telemetry.starting import Attributes, SpanStarter, fail
from app.telemetry.trace_ids import EVENT_PREFIX, cause_of, send_span_id_of, trace_id_of

# Outcomes of `enqueue` that have put a job into its queue: for the first time, and again.
ENQUEUED, REPLAYED = "enqueued", "replayed"
SPAN_ID = re.compile(r"[0-9a-f]{16}\Z")
_propagator = TraceContextTextMapPropagator()


class CallSpan:
    """A call to a receiver that is under way."""

    def __init__(self, span: Span) -> None:
        """`span` is that of the call."""
        self._span = span
        self.headers: dict[str, str] = {}  # by which the receiver goes on: `traceparent`
        _propagator.inject(self.headers, set_span_in_context(span))

    def answered(self, status: int) -> None:
        """The receiver has answered with this status of HTTP."""
        self._span.set_attribute("http.response.status_code", status)
        if status >= 400:
            fail(self._span, str(status))


class Spans:
    """Records what becomes of jobs in one process."""

    def __init__(self, starter: SpanStarter, stop: Callable[[], None] = lambda: None) -> None:
        """`stop` exports what is not exported yet, within seconds."""
        self._starter = starter
        self.stop = stop
        self._under_way: dict[str, SpanContext] = {}  # what is being processed, by its trace
        self._failed: dict[str, Span] = {}  # by job: attempts that the queue is still to be told of

    def delivered(self, delivery: Received) -> None:
        """A delivery was answered: a span of the server's, and within it one of the queue's."""
        now = time.time_ns()
        came_with = _propagator.extract({"traceparent": delivery.traceparent}, Context())
        server = self._starter.start(
            f"POST {delivery.route}",
            SpanKind.SERVER,
            delivery.job.job_id,
            {
                "http.request.method": "POST",
                "http.route": delivery.route,
                "http.response.status_code": delivery.status,
                "identity.outcome": delivery.job.outcome,
            },
            links=[get_current_span(came_with).get_span_context()],
            began=delivery.began,
        )
        parent = server.get_span_context()
        send = self._start_send(delivery.queue, delivery.job, parent, delivery.submitted)
        for span in (send, server):
            if delivery.error:
                fail(span, delivery.error)
            span.end(now)

    def sent(self, queue: str, jobs: Sequence[Sent], began: int) -> None:
        """Jobs were put into the queue of this name; those that it had already are left out.

        `began` is in nanoseconds since 1970.
        """
        for job in jobs:
            if job.outcome in (ENQUEUED, REPLAYED):
                self._start_send(queue, job, self._sender_of(job.job_id), began).end()

    def _sender_of(self, job_id: str) -> SpanContext | None:
        """The span that puts the job into its queue: what is being processed, or its event's."""
        trace_id, cause = trace_id_of(job_id), cause_of(job_id)
        if trace_id in self._under_way:
            return self._under_way[trace_id]
        # By the clock, of a worker that died after its commit.
        is_effect = cause != job_id and cause.startswith(EVENT_PREFIX)
        return self._starter.known(cause, send_span_id_of(cause)) if is_effect else None

    def _start_send(self, queue: str, job: Sent, parent: SpanContext | None, began: int) -> Span:
        kind, _, session = job.description.rpartition(" ")
        first = send_span_id_of(job.job_id)
        # What is processed is of another trace where an answer of Stripe's asks for the effect.
        links = [get_current_span().get_span_context()]
        if job.outcome != ENQUEUED:
            links.append(self._starter.known(job.job_id, first))
        return self._starter.start(
            f"send {queue}",
            SpanKind.PRODUCER,
            job.job_id,
            {
                **_messaging("send", queue, job.job_id),
                "identity.kind": kind,
                "identity.session": session,
                "identity.outcome": job.outcome,
            },
            parent=parent,
            links=links,
            began=began,
            span_id=first if job.outcome == ENQUEUED else None,
        )

    @contextmanager
    def processing(self, queue: str, attempts: Sequence[Attempt]) -> Iterator[None]:
        """Within it jobs are run, which stand or fall as one. What is raised goes on.

        One that fails alone is ended by `settled`, when it is known what becomes of it. Of a batch
        that fails nothing is done, and nothing recorded: its jobs are run again, one by one.
        """
        for job_id in list(self._failed):  # Redis was away when it was to be told
            self.settled(job_id, "unknown")
        spans = [self._start_process(queue, attempt, len(attempts)) for attempt in attempts]
        found = [span.get_span_context() for span in spans]
        traces = {format(one.trace_id, "032x"): one for one in found}
        self._under_way |= traces
        try:
            with _current(spans):
                yield
        except Exception as error:
            if len(attempts) == 1:
                self._keep_failed(attempts[0].job_id, spans[0], type(error).__name__)
            raise
        else:
            for span in spans:
                span.set_attribute("identity.outcome", "done")
                span.end()
        finally:
            for trace_id in traces:
                del self._under_way[trace_id]

    def failed(self, queue: str, attempt: Attempt, error: str) -> None:
        """The queue is about to be told of an attempt that has failed.

        A job that nothing could read, or whose workers have died, has no span yet. `error` is the
        class of why it failed.
        """
        if attempt.job_id not in self._failed:
            self._keep_failed(attempt.job_id, self._start_process(queue, attempt, 1), error)

    def failed_span_of(self, job_id: str) -> str:
        """The span of an attempt that has failed and is not settled, in 16 hex digits."""
        return format(self._failed[job_id].get_span_context().span_id, "016x")

    def settled(self, job_id: str, outcome: str, reason: str = "") -> None:
        """End the span of an attempt that has failed, if there is one: `outcome` came of it."""
        span = self._failed.pop(job_id, None)
        if span is not None:
            span.set_attribute("identity.outcome", outcome)
            if reason:
                span.set_attribute("identity.reason", reason)
            span.end()

    def _keep_failed(self, job_id: str, span: Span, error: str) -> None:
        fail(span, error)
        self._failed[job_id] = span

    def _start_process(self, queue: str, attempt: Attempt, together: int) -> Span:
        earlier = [attempt.failed_span] if SPAN_ID.match(attempt.failed_span) else []
        return self._starter.start(
            f"process {queue}",
            SpanKind.CONSUMER,
            attempt.job_id,
            {
                **_messaging("process", queue, attempt.job_id),
                "identity.attempt": attempt.made + 1,
                "identity.batch_size": together,
            },
            parent=self._starter.known(attempt.job_id, send_span_id_of(attempt.job_id)),
            links=[self._starter.known(attempt.job_id, span_id) for span_id in earlier],
        )

    @contextmanager
    def calling(self) -> Iterator[CallSpan]:
        """Within it NOTIFY_URL is called. What is raised goes on."""
        attributes = {"http.request.method": "POST", "identity.receiver": "callback"}
        span = self._starter.start_within("POST", SpanKind.CLIENT, attributes)
        try:
            yield CallSpan(span)
        except Exception as error:
            fail(span, type(error).__name__)
            raise
        finally:
            span.end()


@contextmanager
def _current(spans: Sequence[Span]) -> Iterator[None]:
    """Within it the span is the current one, and log lines name its trace; of several, none is."""
    if len(spans) > 1:
        yield
        return
    token = contexts.attach(set_span_in_context(spans[0]))
    try:
        with bound_contextvars(trace_id=format(spans[0].get_span_context().trace_id, "032x")):
            yield
    finally:
        contexts.detach(token)


def _messaging(operation: str, queue: str, job_id: str) -> Attributes:
    return {
        "messaging.system": "rq",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": queue,
        "messaging.message.id": job_id,
    }
