"""Logs as events: one line each, built from ids and codes, with a time in UTC.

A line has `timestamp`, `level`, `part` and `event`, in this order, and then its own fields, whose
names say their units. docs/reference/logs.md lists every event.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TextIO, cast

import structlog
from structlog.typing import EventDict, Processor

# What every line has, in this order.
HEAD = ("timestamp", "level", "part", "event")


def configure(
    log_format: str,
    stream: TextIO = sys.stdout,
    processors: Sequence[Processor] = (),
) -> None:
    """Set structlog up for this process, `json` or `text`, and route the libraries' through it.

    Libraries log warnings and worse only: RQ's and uvicorn's lines about each job and request hold
    arguments and addresses. `processors` are given each line before it is written. A line that
    cannot be written is no error of whoever logs it (see LogOutput).
    """
    lines = LogOutput(stream)
    output = cast("TextIO", lines)
    shared: list[Processor] = [
        lines.report_failures,
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_traceback,
        *processors,
    ]
    last: list[Processor] = (
        [_in_order, structlog.processors.JSONRenderer()]
        if log_format == "json"
        else [structlog.dev.ConsoleRenderer(colors=stream.isatty())]
    )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=output),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
            foreign_pre_chain=[_name_part, *shared],
        )
    )
    # On the handler too: RQ sets a level on its own loggers, which overrides the root's.
    handler.setLevel(logging.WARNING)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(True)  # Python's own, as of what a library deprecates


class LogOutput(io.TextIOBase):
    """A stream whose failures stop nobody's work: a full disk, or a collector that has gone.

    The next line but one after such a time says how many writes have failed in it, and why.
    """

    def __init__(self, stream: TextIO) -> None:
        """`stream` is where lines go. A file's own buffer is left out of it.

        What could not be written would stay there, and fail whoever flushes it next: a fork does.
        """
        self._stream = stream
        raw = getattr(getattr(stream, "buffer", None), "raw", None)
        self._raw = raw if isinstance(raw, io.FileIO) else None
        self._failures = 0
        self._reason = ""
        self._works = True

    def write(self, text: str) -> int:
        """Write at once; what fails is counted. Returns the length of the text."""
        if not self._works:
            text = "\n" + text  # what failed may have left the beginning of a line
        try:
            if self._raw is None:
                self._stream.write(text)
            else:
                _write_all(self._raw, text.encode(self._stream.encoding, "replace"))
            self._stream.flush()
        except OSError as error:
            self._failures += 1
            self._reason = error.strerror or type(error).__name__
            self._works = False
        else:
            self._works = True
        return len(text)

    def flush(self) -> None:
        """Each write has done it."""

    def report_failures(self, logger: object, name: str, event: EventDict) -> EventDict:
        """A processor, as a line may not be written within another's writing."""
        if self._failures and self._works:
            count, self._failures = self._failures, 0
            log.warning("log could not be written", failed_write_count=count, reason=self._reason)
        return event


def _write_all(raw: io.FileIO, line: bytes) -> None:
    while line:
        written = raw.write(line)
        if written is None:  # a pipe that does not block, and is full
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        line = line[written:]


def _name_part(logger: object, name: str, event: EventDict) -> EventDict:
    """A library's line names its logger where ours name a part: `uvicorn.error`, `rq.worker`."""
    record: logging.LogRecord = event["_record"]
    event["part"] = record.name
    return event


def _in_order(logger: object, name: str, event: EventDict) -> EventDict:
    """What every line has comes first."""
    return {**{key: event.pop(key) for key in HEAD if key in event}, **event}


def _without_traceback(logger: object, name: str, event: EventDict) -> EventDict:
    """A traceback can quote arguments: a line has the error's class only."""
    event.pop("stack_info", None)
    error = event.pop("exc_info", None)
    if isinstance(error, tuple):
        error = error[1]
    elif error and not isinstance(error, BaseException):  # `exc_info=True`: what is being handled
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        event["error_class"] = type(error).__name__
    return event


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger whose lines name the part that writes them."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(part=name)
    return logger


def iso_time(seconds: float) -> str:
    """Unix seconds as a log line has them: `2026-05-01T12:00:00Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


log = get_logger("logs")
