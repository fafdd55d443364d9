"""Spans leave for the collector, and what is not exported yet leaves at the end."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Iterator, Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from app.local.valkey import free_port
from app.telemetry import exporting
from app.telemetry.exporting import TellingExporter, open_spans
from app.telemetry.records import Sent
from tests.support.logs import logged
from tests.telemetry.sink import listening

SENT = Sent("evt_1", "verified vs_1", "enqueued")


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    with logged() as stream:
        yield stream


def said(log: io.StringIO) -> list[str]:
    return [json.loads(line)["event"] for line in log.getvalue().splitlines()]


class Answering(SpanExporter):
    """Ends each call so, one after the other."""

    def __init__(self, *results: bool) -> None:
        self._results = list(results)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        succeeds = self._results.pop(0)
        return SpanExportResult.SUCCESS if succeeds else SpanExportResult.FAILURE


def test_what_is_not_exported_yet_is_exported_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    with listening() as sink:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.url)
        spans = open_spans("worker")
        spans.sent("identity-events", [SENT], time.time_ns())
        assert sink.spans == []
        spans.stop()
        (span,) = sink.spans
    assert (span.name, span.part) == ("send identity-events", "worker")


def test_a_collector_that_is_away_holds_up_the_end_for_no_longer_than_it_may(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setattr(exporting, "FLUSH_TIMEOUT", 0.2)
    spans = open_spans("worker")
    spans.sent("identity-events", [SENT], time.time_ns())
    began = time.monotonic()
    spans.stop()
    assert time.monotonic() - began < 5  # the exporter itself tries for ten


def test_no_thread_goes_on_trying_once_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setattr(exporting, "FLUSH_TIMEOUT", 0.2)
    before = set(threading.enumerate())
    spans = open_spans("worker")
    spans.sent("identity-events", [SENT], time.time_ns())
    spans.stop()
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=0.5)  # the shortest wait between two tries is 0.8 s
        assert not thread.is_alive()


def test_a_failing_export_is_said_once_and_its_end_as_well(log: io.StringIO) -> None:
    exporter = TellingExporter(Answering(True, False, False, True, True))
    for _ in range(5):
        exporter.export([])
    assert said(log) == ["traces are not exported", "traces are exported again"]


def test_the_service_has_our_name_unless_it_is_given_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OTEL_SERVICE_NAME", raising=False)
    ours = exporting.resource_of("web").attributes
    assert (ours["service.name"], ours["identity.process"]) == ("stripe-identity-reconciler", "web")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "identity-staging")
    assert exporting.resource_of("web").attributes["service.name"] == "identity-staging"
