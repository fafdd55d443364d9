"""The filters of letters, as an address has them."""

from __future__ import annotations

import pytest

from app.operations.dlq.selection import Selection
from app.queue.registry import Place
from app.web.console.filters import (
    BadFilter,
    address,
    filters_in,
    place_in,
    queue_in,
    selection_in,
    text_of,
)


def test_fields_that_were_left_empty_are_no_filters() -> None:
    given = {"reason": "", "status": " ", "reference": " user-1 ", "older_than": "2h", "page": "x"}
    assert filters_in(given) == {"reference": "user-1", "older_than": "2h"}
    assert selection_in(given) == Selection(reference="user-1", older_than=7_200.0)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"reason": "bad"}, "reason has to be one of: permanent_error, "),
        ({"older_than": "1w"}, "older_than: '1w' is not an age: write 90s, 15m, 2h or 3d"),
        ({"purpose": "driver"}, "purpose goes with reference"),
        ({"session": "vs_\x00"}, "session is no text that can be looked for"),
        ({"reference": "u" * 5_001}, "reference is no text that can be looked for"),
    ],
)
def test_a_filter_that_is_none_is_refused_with_what_to_write(
    given: dict[str, str], told: str
) -> None:
    with pytest.raises(BadFilter, match=told.split("'")[0].replace("(", r"\(")):
        selection_in(given)


def test_the_queue_is_that_of_events_unless_one_is_named() -> None:
    assert queue_in({}) == queue_in({"queue": ""}) == "events"
    assert queue_in({"queue": "effects"}) == "effects"
    with pytest.raises(BadFilter, match="queue has to be one of: events, effects"):
        queue_in({"queue": "mail"})


def test_a_place_comes_back_from_an_address_as_it_was() -> None:
    place = Place(-1_764_408_548.123457, "evt_1~2")
    assert place_in({"after": text_of(place) or ""}) == place
    assert (place_in({}), text_of(None)) == (None, None)


@pytest.mark.parametrize("text", ["evt_1", "nan~evt_1", "inf~", "~evt_1", "1;2"])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(BadFilter, match="begin with its first page"):
        place_in({"after": text})


def test_an_address_carries_any_text() -> None:
    assert address("/x", {"a": "1&2", "b": None, "c": "ü/"}) == "/x?a=1%262&c=%C3%BC%2F"
    assert address("/x", {"a": None}) == "/x"
