"""Spans that a test looks at, instead of a collector."""

from __future__ import annotations

from hashlib import sha256

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler
from opentelemetry.trace import Span, SpanContext

from app.telemetry.spans import Spans
from app.telemetry.starting import DerivedIds, SpanStarter


class Recording:
    """The spans of one process, and those of them that have ended."""

    def __init__(self, sampler: Sampler = ALWAYS_ON) -> None:
        self._exporter = InMemorySpanExporter()
        ids = DerivedIds()
        provider = TracerProvider(sampler=sampler, id_generator=ids, shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.spans = Spans(SpanStarter(provider, ids))

    @property
    def ended(self) -> list[ReadableSpan]:
        """All that have ended, in that order."""
        return list(self._exporter.get_finished_spans())

    def forget(self) -> None:
        """Nothing has ended by now."""
        self._exporter.clear()

    @property
    def text(self) -> str:
        """All that is exported of them."""
        return "".join(span.to_json() for span in self.ended)

    def named(self, name: str, job_id: str | None = None) -> list[ReadableSpan]:
        """Those of this name; of one job, if it is given."""
        return [
            span
            for span in self.ended
            if span.name == name and job_id in (None, told(span, "messaging.message.id"))
        ]

    def one(self, name: str, job_id: str | None = None) -> ReadableSpan:
        """The only one."""
        (span,) = self.named(name, job_id)
        return span


def told(span: ReadableSpan, attribute: str) -> object:
    """An attribute; None if it is not set."""
    return (span.attributes or {}).get(attribute)


def trace_of(event_id: str) -> int:
    """The trace that everybody can work out for an event."""
    return int(sha256(event_id.encode()).hexdigest()[:32], 16)


def context_of(span: ReadableSpan | Span) -> SpanContext:
    """What names it."""
    context = span.get_span_context()
    assert context is not None
    return context


def parent_of(span: ReadableSpan) -> int | None:
    """The id of the span that it is in; None if it is the first of its trace."""
    return span.parent.span_id if span.parent else None


def linked(span: ReadableSpan) -> list[int]:
    """The ids of the spans that it links to."""
    return [link.context.span_id for link in span.links]
