"""Anything malformed is answered with one error."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import UnreadableEvent
from app.domain.event import SessionEvent
from app.domain.fields import MAX_TIME
from app.domain.session import api_answer
from app.domain.snapshot import MetadataKeys
from tests.domain.strategies import FAST, json_values
from tests.support.events import (
    OPENED,
    at,
    full_body,
    paths,
    with_value,
)

PATHS = paths(full_body())
KEYS = MetadataKeys(("user_id",), "purpose")


# --- malformed events -----------------------------------------------------------------------

WRONG: dict[str, list[Any]] = {
    "": [None, [], "event", 7, True],
    "type": [None, 7, [], {}, True],
    "id": [None, 7, "", "evt 1", "evt.1", "evt_1\n", "é", "x" * 256, [], {}],
    "created": [None, True, False, "1", 1.5, float("nan"), -1, MAX_TIME + 1, 10**30, []],
    "account": [7, "", "acct 1", False, [], {}],
    "livemode": [None, 0, 1, "true", []],
    "data": [None, [], "x", False],
    "data.object": [None, [], "vs_1", 0],
    "data.object.id": [None, 7, "", "vs 1", "vs.1", "vs_1\n", "\ud800", "x" * 256],
    "data.object.status": [None, 7, "", "all good", "\0", [], {}],
    "data.object.type": [7, "", "a b", False, []],
    "data.object.created": [None, True, "1", 1.0, -1, MAX_TIME + 1],
    "data.object.last_error": ["x", 7, [], [{}], "", 0, False],
    "data.object.last_error.code": [7, "", "a b", "x\n", False, [], {}],
    "data.object.last_verification_report": [7, "", "vr 1", [], False, {}, {"id": None}],
    "data.object.last_verification_report.id": [7, "", "vr 1", [], None],
    "data.object.redaction": ["redacted", [], 7, "", 0, False],
    "data.object.redaction.status": [7, "", "a b", False, []],
}


@pytest.mark.parametrize(
    ("path", "value"),
    [pytest.param(p, v, id=f"{p}={v!r:.20}") for p, values in WRONG.items() for v in values],
)
def test_a_malformed_field_makes_the_event_unreadable(path: str, value: Any) -> None:
    body = with_value(full_body(), tuple(path.split(".")) if path else (), value)
    with pytest.raises(UnreadableEvent):
        SessionEvent.parse(body)


@pytest.mark.parametrize(
    "path",
    ["type", "id", "created", "livemode", "data", "data.object", "data.object.id",
     "data.object.status", "data.object.created"],
)  # fmt: skip
def test_a_missing_required_field_makes_the_event_unreadable(path: str) -> None:
    body = full_body()
    *where, name = path.split(".")
    del at(body, tuple(where))[name]
    with pytest.raises(UnreadableEvent):
        SessionEvent.parse(body)


def can_be_stored(event: SessionEvent | None) -> bool:
    if event is not None:
        json.dumps(event.pack(), allow_nan=False, ensure_ascii=False).encode()
        assert SessionEvent.unpack(event.pack()) == event
    return True


@FAST
@given(body=json_values)
def test_arbitrary_json_is_read_or_refused_with_the_one_error(body: Any) -> None:
    with suppress(UnreadableEvent):
        assert can_be_stored(SessionEvent.parse(body, KEYS))


@FAST
@given(path=st.sampled_from(PATHS), value=json_values)
def test_any_field_replaced_by_arbitrary_json_is_read_or_refused_with_the_one_error(
    path: tuple[str, ...], value: Any
) -> None:
    with suppress(UnreadableEvent):
        event = SessionEvent.parse(with_value(full_body(reference=None), path, value), KEYS)
        assert can_be_stored(event)


@FAST
@given(path=st.sampled_from(paths(full_body()["data"]["object"])), value=json_values)
def test_any_field_of_an_api_answer_replaced_is_read_or_refused_with_the_one_error(
    path: tuple[str, ...], value: Any
) -> None:
    session = with_value(full_body()["data"]["object"], path, value)
    with suppress(UnreadableEvent):
        api_answer(session, account="", date=OPENED, metadata_keys=KEYS)
