"""What msgspec picks out of a delivery is what `json` would have read, for any text at all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.errors import UnreadableEvent
from app.domain.snapshot import MetadataKeys
from app.domain.thin_event import parse_delivery
from app.web.minimise import LONG_NUMBER, MAX_BRACKETS, minimise
from tests.domain.strategies import json_values
from tests.support.events import event_body, full_body, paths, with_value

KEYS = MetadataKeys(("user_id",), "purpose")
MANY = settings(
    deadline=None,
    max_examples=300,  # a hundred thousand in the soak, tests/properties/test_hostile_input.py
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
BODIES = [
    full_body(),
    full_body(reference=None),
    full_body(report="vr_1"),
    event_body(),
    event_body(reference=None),
    event_body(metadata={"purpose": "driver"}),
    event_body(metadata={"purpose": "to drive"}, redaction="redacted"),
]
PATHS = sorted({path for body in BODIES for path in paths(body)})
# Where a parser may think otherwise than another.
FRAGMENTS = [
    *("NaN", "Infinity", "-Infinity", "-0", "1.0", "1e3", "1e999", "01", "+1", ".5", "9" * 30),
    *("9" * 4_299, "9" * 4_301, "9" * 4_301 + ".5", "1.", "-", "true", "True", "nul", "null", "[]"),
    *(
        '"\\ud800"',
        '"\\udc00\\ud800"',
        '"\\ud83d\\ude00"',
        '"\\q"',
        '"\\u12"',
        '"\\u0000"',
        '"a\\/b"',
    ),
    *(
        '"\x00"',
        '"\x1f"',
        '"\x7f"',
        '"\u2028"',
        '"\ufeff"',
        "'a'",
        '"a',
        "{",
        "}",
        ",",
        ":",
        "/**/",
    ),
    *("[" * 200 + "]" * 200, "[" * 2_000 + "]" * 2_000, '{"a":' * 400 + "1" + "}" * 400),
    *('{"a":1,}', "[1,]", '{"a":1,"a":2}', '{"id":"x","id":null}', '{"\\u0069d":"vr_2"}', '""'),
]


def as_json_reads_it(text: str) -> Any:
    """What `minimise` would do without msgspec."""
    try:
        decoded = json.loads(text)
    except (ValueError, RecursionError):
        return "not JSON"
    try:
        return parse_delivery(decoded, KEYS)
    except UnreadableEvent as refusal:
        return str(refusal)


def as_we_read_it(text: str) -> Any:
    try:
        return minimise(text, KEYS)
    except UnreadableEvent as refusal:
        told = str(refusal)
        return "not JSON" if told == "the body is not JSON that can be read" else told


def assert_read_alike(text: str) -> None:
    assert as_we_read_it(text) == as_json_reads_it(text)


def test_a_usual_delivery_never_comes_to_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.web.minimise.json.loads", lambda text: pytest.fail("json read it"))
    for body in BODIES[:-1]:  # a thin event is not a usual one
        assert minimise(json.dumps(body, indent=2), KEYS) is not None
        assert minimise(json.dumps(body, ensure_ascii=False), KEYS) is not None


@pytest.mark.parametrize("fragment", FRAGMENTS, ids=lambda fragment: f"{fragment:.20}")
def test_an_odd_value_in_any_place_is_read_alike(fragment: str) -> None:
    for body in (*BODIES[:3], *BODIES[-2:]):
        for path in paths(body):
            text = json.dumps(with_value(body, path, "HERE"))
            assert_read_alike(text.replace('"HERE"', fragment))


@pytest.mark.parametrize("before", [0, 1, LONG_NUMBER - 1, LONG_NUMBER, 3 * LONG_NUMBER + 7])
def test_a_number_without_end_is_found_wherever_it_begins(before: int) -> None:
    text = f'{{"filler": "{"x" * before}", "number": {"7" * 4_301}, ' + json.dumps(full_body())[1:]
    assert as_we_read_it(text) == "not JSON" == as_json_reads_it(text)


@pytest.mark.parametrize("depth", [1, MAX_BRACKETS, 900, 1_100, 100_000])
def test_nesting_is_read_alike_at_any_depth(depth: int) -> None:
    for opening, closing in ("[]", ('{"a":', "}")):
        nested = f"{opening * depth}1{closing * depth}"
        text = f'{{"nested": {nested}, ' + json.dumps(full_body())[1:]
        assert as_we_read_it(text) == as_json_reads_it(text)


@MANY
@given(body=st.sampled_from(BODIES), path=st.sampled_from(PATHS), value=json_values)
def test_any_field_replaced_is_read_alike(
    body: dict[str, Any], path: tuple[str, ...], value: Any
) -> None:
    if path in paths(body):
        assert_read_alike(json.dumps(with_value(body, path, value)))


@MANY
@given(
    body=st.sampled_from(BODIES),
    key=st.sampled_from([path[-1] for path in PATHS if path]),
    value=json_values,
    at=st.integers(0, 60),
)
def test_a_key_given_twice_is_read_alike(
    body: dict[str, Any], key: str, value: Any, at: int
) -> None:
    text = json.dumps(body)
    places = [place for place, letter in enumerate(text) if letter == "{"]
    place = places[at % len(places)] + 1
    assert_read_alike(f"{text[:place]}{json.dumps(key)}: {json.dumps(value)}, {text[place:]}")


@MANY
@given(
    body=st.sampled_from(BODIES),
    start=st.integers(0, 2_500),
    length=st.integers(0, 30),
    put=st.text(max_size=5) | st.sampled_from(FRAGMENTS) | st.sampled_from('{}[]",:\\ \t\n\r\x0b'),
)
def test_any_text_cut_and_mended_is_read_alike(
    body: dict[str, Any], start: int, length: int, put: str
) -> None:
    text = json.dumps(body, indent=1)
    start %= len(text)
    changed = text[:start] + put + text[start + length :]
    # A body is UTF-8, so it holds no half of a surrogate pair but an escaped one.
    assert_read_alike(changed.encode(errors="replace").decode())


@MANY
@given(text=st.text(max_size=50) | json_values.map(json.dumps))
def test_any_text_is_read_alike(text: str) -> None:
    assert_read_alike(text.encode(errors="replace").decode())
