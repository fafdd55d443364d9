"""Starts spans in the traces of jobs. Imported where traces are on."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from app.telemetry.trace_ids import trace_id_of

Attributes = Mapping[str, str | int]


class DerivedIds(RandomIdGenerator):
    """Random ids, but for a span that is to have others."""

    def __init__(self) -> None:
        self._next = threading.local()

    def is_trace_id_random(self) -> bool:
        """False: a trace's id is derived from an event's."""
        return False

    @contextmanager
    def given(self, trace_id: int | None, span_id: int | None) -> Iterator[None]:
        """What this thread starts within has these ids; None is a random one."""
        self._next.trace_id, self._next.span_id = trace_id, span_id
        try:
            yield
        finally:
            self._next.trace_id = self._next.span_id = None

    def generate_trace_id(self) -> int:
        """An id of 16 bytes."""
        return getattr(self._next, "trace_id", None) or super().generate_trace_id()

    def generate_span_id(self) -> int:
        """An id of 8 bytes."""
        return getattr(self._next, "span_id", None) or super().generate_span_id()


class SpanStarter:
    """Starts spans, and names those that other processes have started."""

    def __init__(self, provider: TracerProvider, ids: DerivedIds) -> None:
        """`ids` is the provider's generator."""
        self._tracer = provider.get_tracer("stripe-identity-reconciler")
        self._sampler = provider.sampler
        self._ids = ids

    def start(
        self,
        name: str,
        kind: SpanKind,
        job_id: str,
        attributes: Attributes,
        *,
        parent: SpanContext | None = None,
        links: Sequence[SpanContext] = (),
        began: int | None = None,
        span_id: str | None = None,
    ) -> Span:
        """A span in the trace of a job; without a parent it is its trace's first.

        `began` is in nanoseconds since 1970, now by default; `span_id`, in hex digits, is random
        by default.
        """
        context = Context()
        if parent is not None:
            context = set_span_in_context(NonRecordingSpan(parent), context)
        with self._ids.given(_number(trace_id_of(job_id)), _number(span_id)):
            return self._tracer.start_span(
                name,
                context,
                kind,
                dict(attributes),
                [Link(one) for one in links if one.is_valid and one != parent],
                start_time=began,
            )

    def start_within(self, name: str, kind: SpanKind, attributes: Attributes) -> Span:
        """A span within the current one."""
        return self._tracer.start_span(name, kind=kind, attributes=dict(attributes))

    def known(self, job_id: str, span_id: str) -> SpanContext:
        """A span of the job's trace of which only the id, in hex digits, is known.

        Whether it was sampled, the sampler says again: it decides by the trace's id.
        """
        trace_id = int(trace_id_of(job_id), 16)
        decision = self._sampler.should_sample(Context(), trace_id, "").decision
        sampled = decision is Decision.RECORD_AND_SAMPLE
        flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
        return SpanContext(trace_id, int(span_id, 16), is_remote=True, trace_flags=flags)


def fail(span: Span, error: str) -> None:
    """Mark a span as failed by `error`: a class, or a status of HTTP. No text, which may quote."""
    span.set_attribute("error.type", error)
    span.set_status(StatusCode.ERROR)


def _number(digits: str | None) -> int | None:
    return None if digits is None else int(digits, 16)
