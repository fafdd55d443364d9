"""What a process says of itself to the outside: its traces and its bugs, if they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from structlog.typing import Processor

from app.configuration.settings import Settings
from app.telemetry import bugs
from app.telemetry.trace_ids import with_trace_id

if TYPE_CHECKING:
    from app.telemetry.spans import Spans


def open_traces(settings: Settings, part: str) -> Spans | None:
    """The spans of this process, which plays this part (`web`, …); None where traces are off.

    Opened after a fork: a thread of its own exports them. To be stopped at the end.
    """
    if not settings.traces:
        return None
    # Nothing of OpenTelemetry is imported where traces are off.
    from app.telemetry.exporting import open_spans

    return open_spans(part)


def log_processors(settings: Settings) -> list[Processor]:
    """What each line of the log goes through: with traces on, it names the trace of its job."""
    return [with_trace_id] if settings.traces else []


@contextmanager
def observed(settings: Settings, part: str) -> Iterator[Spans | None]:
    """Within it a process does its work, with its traces on and its bugs reported, as asked for.

    At the end what is left of both is sent, within seconds.
    """
    bugs.start(settings.sentry_dsn, part)
    spans = open_traces(settings, part)
    try:
        yield spans
    except Exception as error:
        bugs.report(error)
        raise
    finally:
        if spans is not None:
            spans.stop()
        bugs.stop()
