"""Lines of the log: what they hold, and what of the libraries gets into them."""

from __future__ import annotations

import io
import json
import logging
import re
import warnings
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import structlog

from app.logs import configure, get_logger, iso_time
from tests.support.logs import log_as_before

PLANTED = "PLANTED-VALUE"


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    with log_as_before():
        yield


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines() if line]


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
    assert "timestamp" in first
    assert (first["level"], first["part"], first["event"]) == (
        "warning",
        "library.part",
        "slow by 3 s",
    )
    assert (second["event"], second["level"]) == ("gone", "error")


@pytest.mark.parametrize("name", ["uvicorn.error", "rq.worker", "sqlalchemy.pool", "ours"])
def test_a_line_has_one_shape_whoever_writes_it(stream: io.StringIO, name: str) -> None:
    configure("json", stream)
    if name == "ours":
        get_logger(name).warning("it happened", a=1)
    else:
        logging.getLogger(name).warning("it %s", "happened")
    (line,) = lines(stream)
    assert list(line)[:4] == ["timestamp", "level", "part", "event"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line["timestamp"])
    assert (line["level"], line["part"], line["event"]) == ("warning", name, "it happened")


def test_a_warning_of_pythons_is_a_line_too(stream: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        configure("json", stream)
        warnings.warn("this is going to change", UserWarning, stacklevel=1)
        logging.captureWarnings(False)
    (line,) = lines(stream)
    assert (line["level"], line["part"]) == ("warning", "py.warnings")
    assert "this is going to change" in line["event"]


def test_what_a_context_holds_is_in_every_line(stream: io.StringIO) -> None:
    configure("json", stream)
    with structlog.contextvars.bound_contextvars(request_id="req_1"):
        get_logger("web").info("ours")
        logging.getLogger("library").warning("theirs")
    get_logger("web").info("outside")
    assert [line.get("request_id") for line in lines(stream)] == ["req_1", "req_1", None]


def test_a_time_in_a_field_is_in_utc() -> None:
    assert iso_time(1_800_000_000.7) == "2027-01-15T08:00:00Z"


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


class Disk(io.StringIO):
    """A stream whose disk is full for a while."""

    full = False

    def flush(self) -> None:
        if self.full:
            raise OSError(28, "No space left on device")


def test_a_line_after_one_that_was_cut_short_begins_on_its_own() -> None:
    disk = Disk()
    configure("json", disk)
    disk.full = True
    get_logger("web").info("first")
    disk.full = False
    disk.write('{"cut')
    get_logger("web").info("second")
    assert json.loads(disk.getvalue().splitlines()[-1])["event"] == "second"


def test_lines_that_cannot_be_written_are_counted_once_they_can_be() -> None:
    disk = Disk()
    configure("json", disk)
    log = get_logger("web")
    disk.full = True
    log.info("first")
    logging.getLogger("library").warning("second")
    disk.full = False
    log.info("third")
    log.info("fourth")
    told = [line for line in lines(disk) if line["part"] == "logs"]
    assert [(line["event"], line["failed_write_count"], line["reason"]) for line in told] == [
        ("log could not be written", 2, "No space left on device")
    ]
