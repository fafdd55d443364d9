"""Exports spans by OTLP over HTTP. Imported where traces are on, and opened after a fork.

Where to, how and how much are the SDK's own variables (OTEL_…), which it reads itself.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from app.logs import get_logger
from app.telemetry.spans import Spans
from app.telemetry.starting import DerivedIds, SpanStarter

log = get_logger("traces")

PRODUCT = "stripe-identity-reconciler"
# Seconds for what is not exported yet when a process stops. A child of the workers has 22 to end
# in, of which its last job may take 20.
FLUSH_TIMEOUT = 2.0

# It says the same at every try while the collector is away, and quotes what that answers.
logging.getLogger("opentelemetry.exporter.otlp.proto.http.trace_exporter").setLevel(
    logging.CRITICAL
)


class TellingExporter(SpanExporter):
    """Another exporter, with a line in the log when it begins to fail and when that is over."""

    def __init__(self, exporter: SpanExporter) -> None:
        """`exporter` does the work."""
        self._exporter = exporter
        self._failing = False
        self._ended = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export them; those of a call that fails are lost."""
        result = self._exporter.export(spans)
        failing = result is not SpanExportResult.SUCCESS
        if failing and not self._failing:
            log.warning("traces are not exported", lost_span_count=len(spans))
        elif self._failing and not failing:
            log.info("traces are exported again")
        self._failing = failing
        return result

    def shutdown(self) -> None:
        """Export no more, and try no more: an export that waits for its next try ends as failed."""
        if not self._ended:
            self._ended = True
            self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """True once all is exported."""
        return self._exporter.force_flush(timeout_millis)


def open_spans(part: str, exporter: SpanExporter | None = None) -> Spans:
    """The spans of this process, which plays this part; to the collector if none else is given."""
    ids = DerivedIds()
    provider = TracerProvider(
        resource=resource_of(part),
        id_generator=ids,
        shutdown_on_exit=False,  # `stop` does it, within its time
    )
    telling = TellingExporter(exporter or OTLPSpanExporter())
    provider.add_span_processor(BatchSpanProcessor(telling))

    def stop() -> None:
        flushing = threading.Thread(target=provider.shutdown, daemon=True)
        flushing.start()
        flushing.join(FLUSH_TIMEOUT)
        telling.shutdown()  # first here if the time is over: no thread goes on trying

    return Spans(SpanStarter(provider, ids), stop)


def resource_of(part: str) -> Resource:
    """OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES, and ours where they say nothing."""
    told = Resource.create()
    unnamed = str(told.attributes[SERVICE_NAME]).startswith("unknown_service")
    own = {"identity.process": part, **({SERVICE_NAME: PRODUCT} if unnamed else {})}
    return told.merge(Resource(own))
