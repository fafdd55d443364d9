"""A job's data, as JSON and as RQ writes it back."""

from __future__ import annotations

import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rq.serializers import JSONSerializer

from app.queue.model import decode, encode

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(st.dictionaries(st.text(), JSON))
def test_what_is_encoded_is_decoded(payload: dict[str, object]) -> None:
    data = encode("workers.jobs.process_event", payload).encode()
    assert decode(data) == ("workers.jobs.process_event", [payload])
    # RQ compresses the data of every job it saves, so of each that its tools put back.
    assert decode(zlib.compress(data)) == decode(data)
    assert JSONSerializer.loads(data) == ["workers.jobs.process_event", None, [payload], {}]


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


@pytest.mark.parametrize("data", [b"", b"[", b"\x80", b"x\x9cbroken", zlib.compress(b"["), b"x"])
def test_what_is_not_json_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the decoders' own, of many words
        decode(data)
