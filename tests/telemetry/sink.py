"""A collector and a Sentry on loopback: they keep what processes send them."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.http_server import serving

TRACES = "/v1/traces"


@dataclass(frozen=True)
class Exported:
    """A span as a collector is sent it, and the part that its process plays."""

    span: Span
    part: str

    @property
    def name(self) -> str:
        return self.span.name

    @property
    def trace_id(self) -> str:
        return self.span.trace_id.hex()

    @property
    def id(self) -> str:
        return self.span.span_id.hex()

    @property
    def parent(self) -> str:
        """The id of the span that it is in; "" if it is the first of its trace."""
        return self.span.parent_span_id.hex()

    @property
    def attributes(self) -> dict[str, str | int]:
        return _attributes(self.span.attributes)


@dataclass
class Sink:
    """Both, and what came."""

    url: str = ""  # OTEL_EXPORTER_OTLP_ENDPOINT
    received: list[tuple[str, bytes]] = field(default_factory=list)  # paths and bodies

    @property
    def dsn(self) -> str:
        """SENTRY_DSN."""
        return self.url.replace("http://", "http://0123456789abcdef@") + "/42"

    @property
    def spans(self) -> list[Exported]:
        """All that were exported, in the order in which they began."""
        found: list[Exported] = []
        for path, body in list(self.received):
            if path == TRACES:
                found += _read(body)
        return sorted(found, key=lambda one: one.span.start_time_unix_nano)

    @property
    def bugs(self) -> list[bytes]:
        """All that were reported."""
        return [body for path, body in list(self.received) if path != TRACES]


def _read(body: bytes) -> Iterator[Exported]:
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        part = str(_attributes(resource.resource.attributes)["identity.process"])
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Exported(span, part)


def _attributes(found: Iterator[KeyValue]) -> dict[str, str | int]:
    return {
        one.key: one.value.string_value or one.value.int_value  # the two kinds that we have
        for one in found
    }


@contextmanager
def listening(file: Path | None = None) -> Iterator[Sink]:
    """A sink that takes all that it is sent, and keeps it in a file as well, if one is named."""
    sink = Sink()

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers.get("Content-Encoding") == "gzip":
                sent = gzip.decompress(sent)
            sink.received.append((self.path, sent))
            if file is not None:
                with file.open("ab") as kept:
                    kept.write(sent)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

    with serving(Taking) as sink.url:
        yield sink


def environment(sink: Sink) -> Mapping[str, str]:
    """The settings of a process that sends it all, and soon."""
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": sink.url,
        "OTEL_BSP_SCHEDULE_DELAY": "100",  # milliseconds
        "SENTRY_DSN": sink.dsn,
    }
