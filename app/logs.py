"""Logs as events: one line each, built from ids and codes, with a time in UTC."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog


def configure(log_format: str, stream: TextIO = sys.stdout) -> None:
    """Set structlog up for this process, `json` or `text`, and route the libraries' through it.

    Libraries log warnings and worse only: RQ's and uvicorn's lines about each job and request hold
    arguments and addresses.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_traceback,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=stream.isatty())
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                renderer,
            ],
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
        )
    )
    # On the handler too: RQ sets a level on its own loggers, which overrides the root's.
    handler.setLevel(logging.WARNING)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)


def _without_traceback(
    logger: object, name: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
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
