"""The options that decide how strong a check is: one text for one check, short in the queue."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import UnreadableEvent
from app.domain.options import FLAGS, pack_options, read_options, unpack_options
from tests.domain.strategies import FAST

TYPES = ("driving_license", "id_card", "passport")


def text_of(**document: Any) -> str | None:
    return read_options({"options": {"document": document}})


@pytest.mark.parametrize(
    "session",
    [
        {},
        {"options": None},
        {"options": {}},
        {"options": {"document": None, "email": {"require_verification": True}}},
        {"options": {"document": {"allowed_types": [], "require_id_number": False}}},
        {"options": {"document": {"allowed_types": None, "require_live_capture": None}}},
        {"options": {"id_number": {}}},
    ],
)
def test_options_that_ask_for_nothing_are_none(session: dict[str, Any]) -> None:
    assert read_options(session) is None


def test_what_is_asked_for_is_kept_in_stripes_own_shape() -> None:
    text = text_of(
        require_matching_selfie=True, require_id_number=False, allowed_types=["passport", "id_card"]
    )
    assert json.loads(text or "") == {
        "document": {"allowed_types": ["id_card", "passport"], "require_matching_selfie": True}
    }


@FAST
@given(
    types=st.lists(st.sampled_from([*TYPES, "residence_permit"]), max_size=4),
    flags=st.fixed_dictionaries({}, optional=dict.fromkeys(FLAGS, st.booleans())),
    data=st.data(),
)
def test_the_same_check_has_the_same_text_however_it_is_written(
    types: list[str], flags: dict[str, bool], data: st.DataObject
) -> None:
    items = data.draw(st.permutations([("allowed_types", types), *flags.items()]))
    other = data.draw(st.permutations(types + types))
    one = text_of(**dict(items))
    assert one == text_of(allowed_types=other, **{n: True for n, on in flags.items() if on})
    assert unpack_options(pack_options(one)) == one


def test_the_usual_options_take_a_few_letters_in_the_queue() -> None:
    text = text_of(allowed_types=list(TYPES), **dict.fromkeys(FLAGS, True))
    assert pack_options(text) == "dipNLS"
    assert pack_options(None) == ""


@pytest.mark.parametrize(
    "options",
    [
        "none",
        {"document": "passport"},
        {"document": {"allowed_types": "passport"}},
        {"document": {"allowed_types": [None]}},
        {"document": {"allowed_types": ["Jenny Rosen"]}},
        {"document": {"allowed_types": [{"passport": True}]}},
    ],
)
def test_options_of_another_form_are_refused_without_being_quoted(options: Any) -> None:
    with pytest.raises(UnreadableEvent) as refusal:
        read_options({"options": options})
    assert "Jenny" not in str(refusal.value)
