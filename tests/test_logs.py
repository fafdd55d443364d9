"""Lines of the log: what they hold, and what of the libraries gets into them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import structlog

from app.logs import configure, get_logger

PLANTED = "PLANTED-VALUE"


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Logging is the process': other tests find it as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def fail() -> None:
    """Log an exception as libraries do."""
    try:
        raise ValueError(PLANTED)
    except ValueError:
        logging.getLogger("library").exception("it broke")


def test_a_line_is_json_with_part_level_and_utc_time(stream: io.StringIO) -> None:
    configure("json", stream)
    get_logger("web").info("delivery enqueued", event_id="evt_1", attempts=2)
    (line,) = lines(stream)
    when = datetime.fromisoformat(line.pop("timestamp"))
    assert when.utcoffset() == timedelta(0)
    assert line == {
        "event": "delivery enqueued",
        "level": "info",
        "part": "web",
        "event_id": "evt_1",
        "attempts": 2,
    }


def test_a_line_is_one_line_whatever_it_holds(stream: io.StringIO) -> None:
    configure("json", stream)
    get_logger("web").info("a\nb", value="\ud800\r\n\u2028\0", other=object)
    logging.getLogger("library").warning("c\nd %s", "\ud800\n")
    assert len(lines(stream)) == 2


def test_text_is_for_people(stream: io.StringIO) -> None:
    configure("text", stream)
    get_logger("web").warning("delivery refused", status=400)
    logging.getLogger("library").warning("look here")
    first, second = stream.getvalue().splitlines()
    assert "delivery refused" in first
    assert "status=400" in first
    assert "part=web" in first
    assert "look here" in second
    assert "library" in second
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_debug_lines_are_left_out(stream: io.StringIO, log_format: str) -> None:
    configure(log_format, stream)
    get_logger("web").debug(PLANTED)
    assert stream.getvalue() == ""


def test_warnings_of_libraries_go_through(stream: io.StringIO) -> None:
    configure("json", stream)
    logging.getLogger("library.part").warning("slow by %d s", 3)
    logging.getLogger("library.part").error("gone")
    first, second = lines(stream)
    assert (first["event"], first["level"], first["logger"]) == (
        "slow by 3 s",
        "warning",
        "library.part",
    )
    assert "timestamp" in first
    assert (second["event"], second["level"]) == ("gone", "error")


@pytest.mark.parametrize("name", ["rq.worker", "uvicorn.error", "uvicorn.access", "stripe"])
def test_what_libraries_tell_below_a_warning_is_left_out(stream: io.StringIO, name: str) -> None:
    configure("json", stream)
    logging.getLogger(name).info(PLANTED)
    logging.getLogger(name).debug(PLANTED)
    assert stream.getvalue() == ""


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_of_a_librarys_exception_only_the_class_is_told(
    stream: io.StringIO, log_format: str
) -> None:
    configure(log_format, stream)
    fail()
    told = stream.getvalue()
    assert "it broke" in told
    assert "ValueError" in told
    assert PLANTED not in told
    assert "Traceback" not in told
    assert told.count("\n") == 1


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_of_our_own_exception_only_the_class_is_told(stream: io.StringIO, log_format: str) -> None:
    configure(log_format, stream)
    try:
        raise ValueError(PLANTED)
    except ValueError as error:
        get_logger("web").error("it broke", exc_info=True)
        get_logger("web").error("it broke", exc_info=error)
        get_logger("web").exception("it broke")
    told = stream.getvalue()
    assert told.count("ValueError") == 3
    assert PLANTED not in told
    assert "Traceback" not in told


def test_a_stack_that_a_library_asks_for_is_left_out(stream: io.StringIO) -> None:
    configure("json", stream)
    logging.getLogger("library").warning("look", stack_info=True)
    (line,) = lines(stream)
    assert "stack" not in line
    assert "stack_info" not in line


def test_configuring_twice_logs_once(stream: io.StringIO) -> None:
    configure("json", stream)
    configure("json", stream)
    logging.getLogger("library").warning("once")
    assert len(lines(stream)) == 1
