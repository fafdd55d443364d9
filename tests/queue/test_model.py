"""A job's data, as JSON and as RQ writes it back."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rq.serializers import JSONSerializer

from app.domain.errors import LaterRelease
from app.queue.model import MAX_INFLATED, decode, encode

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(st.dictionaries(st.text(), JSON))
def test_what_is_encoded_is_decoded(payload: dict[str, object]) -> None:
    data = encode("workers.jobs.process_event", payload)
    assert decode(data) == ("workers.jobs.process_event", [payload])
    # RQ compresses the data of every job it saves, so of each that its tools put back.
    assert decode(zlib.compress(data)) == decode(data)
    assert JSONSerializer.loads(data) == ["workers.jobs.process_event", None, [payload, 1], {}]


@given(st.integers(2), JSON)
def test_a_job_of_a_later_format_is_known_as_such(version: int, payload: object) -> None:
    call: list[Any] = ["workers.jobs.of_the_next_release", None, [payload, version], {}]
    with pytest.raises(LaterRelease):
        decode(json.dumps(call).encode())


@pytest.mark.parametrize(
    "value",
    [
        5,
        None,
        "abcd",
        [],
        ["f", None, []],
        [1, None, [], {}],
        ["f", None, {}, {}],
        dict.fromkeys("abcd"),
    ],
)
def test_what_is_not_a_call_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="a job's data is"):
        decode(json.dumps(value).encode())


@pytest.mark.parametrize(
    "data",
    [b"", b"[", b"\x80", b"x\x9cbroken", zlib.compress(b"["), b"x", zlib.compress(b"[]")[:-1]],
)
def test_what_is_not_json_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the decoders' own, of many words
        decode(data)


def test_no_more_of_a_job_is_inflated_than_a_job_can_have() -> None:
    fits = encode("f", "a" * (MAX_INFLATED - 100))
    assert decode(zlib.compress(fits)) == decode(fits)
    for size in (MAX_INFLATED, 100 * MAX_INFLATED):
        with pytest.raises(ValueError, match="over 1048576 bytes when inflated"):
            decode(zlib.compress(encode("f", "a" * size)))
