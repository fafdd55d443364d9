"""Parameters in Stripe's forms."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from app.web.parameters import BadParameter, nest, reject_unknown, take_expand, take_flag

NAMES = st.text(min_size=1, max_size=8).filter(lambda name: not set(name) & set("[]"))
TEXTS = st.text(max_size=8)
LEAVES = TEXTS | st.lists(TEXTS, min_size=1, max_size=3)
OBJECTS = st.dictionaries(NAMES, LEAVES, min_size=1, max_size=3)
PARAMETERS = st.dictionaries(NAMES, LEAVES | OBJECTS, max_size=4)


def numbered(found: Any) -> bool:
    """Whether an object's keys are those of a list: a form cannot tell the two apart."""
    if isinstance(found, dict):
        keys = set(found)
        if keys and keys == {str(number) for number in range(len(keys))}:
            return True
        return any(numbered(part) for part in found.values())
    return False


@given(PARAMETERS.filter(lambda found: not numbered(found)))
def test_what_stripes_client_writes_is_read_as_it_was_meant(found: dict[str, Any]) -> None:
    pairs = list(stripe._encode._api_encode(found))
    assert nest(urlencode(pairs)) == found


@given(st.text(alphabet="ab[]=&%01", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    found: object
    try:
        found = nest(text)
    except BadParameter as refused:
        found = str(refused)
    assert isinstance(found, dict) or found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("a=1&b=", {"a": "1", "b": ""}),
        ("a=1&a=2", {"a": "2"}),
        ("a[b][c]=1&a[b][d]=2", {"a": {"b": {"c": "1", "d": "2"}}}),
        ("a[]=1&a[]=2", {"a": ["1", "2"]}),
        ("a[1]=2&a[0]=1", {"a": ["1", "2"]}),
        ("a[0]=1&a[2]=3", {"a": {"0": "1", "2": "3"}}),
        ("a[][b]=1&a[][b]=2", {"a": [{"b": "1"}, {"b": "2"}]}),
        ("a%5Bb%5D=%26%3D%2B+x", {"a": {"b": "&=+ x"}}),
        ("a=%C3%BC", {"a": "ü"}),
    ],
)
def test_a_form_is_read(text: str, found: dict[str, Any]) -> None:
    assert nest(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "=1",
        "[]=1",
        "a[=1",
        "a]=1",
        "a[b]c=1",
        "a[b[c]]=1",
        "a=1&a[b]=2",
        "a[b]=2&a=1",
        "a[b]=1&a[b][c]=2",
        "a[1][2][3][4][5][6]=7",
        "a=%ff",
        "%ff=a",
        "&".join("a[]=1" for _ in range(1_001)),
    ],
    ids=lambda text: text[:20],
)
def test_a_form_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(BadParameter):
        nest(text)


def test_an_unknown_name_is_refused_in_stripes_words() -> None:
    assert reject_unknown({"a": 1}, {"a", "b"}) == {"a": 1}
    with pytest.raises(BadParameter, match="Received unknown parameter: c") as refused:
        reject_unknown({"a": 1, "c": 2}, {"a", "b"})
    assert (refused.value.param, refused.value.code) == ("c", "parameter_unknown")


def test_expand_is_taken_out() -> None:
    found = {"expand": ["a", "b"], "x": 1}
    assert take_expand(found) == ("a", "b")
    assert found == {"x": 1}
    assert take_expand(found) == ()


@pytest.mark.parametrize(
    ("given", "flag"), [(True, True), ("true", True), (False, False), ("false", False)]
)
def test_a_flag_is_true_or_false(given: object, flag: bool) -> None:
    found = {"reverify": given}
    assert take_flag(found, "reverify") is flag
    assert found == {}
