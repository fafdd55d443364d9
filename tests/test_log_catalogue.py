"""docs/reference/logs.md lists every event that is logged, as it is logged, and no other."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field

import pytest

from tests.log_calls import ROOT, all_log_calls, log_calls

CATALOGUE = "docs/reference/logs.md"


@dataclass
class Event:
    """What is said of one event, by the page or by the source."""

    levels: set[str] = field(default_factory=set)
    parts: set[str] = field(default_factory=set)
    fields: set[str] = field(default_factory=set)
    more_fields: bool = False


def catalogued() -> dict[str, Event]:
    """The rows of the tables of events, by the event's text."""
    found: dict[str, Event] = {}
    for line in (ROOT / CATALOGUE).read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        event = re.fullmatch(r"`([^`]+)`", cells[0])
        if event and len(cells) == 6:
            assert event[1] not in found, f"{CATALOGUE} has {event[1]!r} twice"
            assert cells[4], f"{CATALOGUE} does not say what {event[1]!r} means"
            assert cells[5], f"{CATALOGUE} does not say what to do about {event[1]!r}"
            names = set(re.findall(r"`(\w+)`", cells[3]))
            levels, parts = set(cells[1].split(", ")), set(cells[2].split(", "))
            found[event[1]] = Event(levels, parts, names)
    return found


def logged() -> dict[str, Event]:
    """The events of app/ and workers/, by their text."""
    found: dict[str, Event] = defaultdict(Event)
    for call in all_log_calls():
        event = found[call.event or ""]
        event.levels.add(call.level)
        event.parts.add(call.part or "")
        event.fields |= call.fields
        event.more_fields |= call.more_fields
    return dict(found)


LOGGED, CATALOGUED = logged(), catalogued()


def test_every_event_is_a_text_that_stands_in_its_call() -> None:
    assert [call.where for call in all_log_calls() if call.event is None] == []


def test_every_event_is_in_the_catalogue() -> None:
    assert len(LOGGED) > 60
    missing = sorted(set(LOGGED) - set(CATALOGUED))
    assert missing == [], f"each needs a row in {CATALOGUE}"


def test_the_catalogue_has_no_event_that_is_not_logged() -> None:
    assert sorted(set(CATALOGUED) - set(LOGGED)) == []


@pytest.mark.parametrize("event", sorted(set(LOGGED) & set(CATALOGUED)))
def test_the_catalogue_says_of_an_event_what_its_calls_say(event: str) -> None:
    calls, row = LOGGED[event], CATALOGUED[event]
    assert (row.levels, row.parts) == (calls.levels, calls.parts)
    assert calls.fields - row.fields == set()
    assert calls.more_fields or row.fields - calls.fields == set()


@pytest.mark.parametrize(
    "source",
    [
        'log = get_logger("a")\nlog.info("it is " + what)',
        'log = get_logger("a")\nlog.info(f"it is {what}")',
        'log = get_logger("a")\nlog.info("it is %s", what)',
        'log = get_logger("a")\nsay = log.info\nsay("it is")',
        'log = get_logger("a")\nlog.bind(a=1).info("it is")',
        'log = get_logger(name)\nlog.info("it is")',
        'logger = get_logger("a")\nlogger.info("it is")',
    ],
)
def test_a_call_whose_event_cannot_be_read_is_found(source: str) -> None:
    assert None in [call.event for call in log_calls(source, "planted.py")]


# What a name of ours has to end with if it says how long, how many or how large.
UNITLESS = re.compile(r"(^|_)(seconds|delay|timeout|duration|took|age|wait|size|in|after)$")


def test_every_field_that_is_a_length_of_time_says_its_unit() -> None:
    fields = {name for event in LOGGED.values() for name in event.fields}
    assert [
        name for name in sorted(fields) if UNITLESS.search(name) and "_seconds" not in name
    ] == []
