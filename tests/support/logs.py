"""The log of this process as a test wants it, and as it was afterwards."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from structlog.typing import Processor

from app.logs import configure


@contextmanager
def log_as_before() -> Iterator[None]:
    """Whatever the block makes of logging, other tests find it as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    try:
        yield
    finally:
        root.handlers = handlers
        root.setLevel(level)
        logging.captureWarnings(False)
        structlog.reset_defaults()


@contextmanager
def logged(*processors: Processor) -> Iterator[io.StringIO]:
    """What is logged as JSON in the block."""
    stream = io.StringIO()
    with log_as_before():
        configure("json", stream, processors)
        # A logger that keeps what it was set up with would still write here in the next test.
        structlog.configure(cache_logger_on_first_use=False)
        yield stream
