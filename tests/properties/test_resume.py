"""An update makes an open session what is asked for, however Stripe merges options."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.domain.level import DOCUMENT_TYPES, Level, satisfies
from app.domain.options import FLAGS
from app.domain.resume import changes

VALUES = st.sampled_from(["", "1", "true", "gold"])
FLAG = st.sampled_from([True, False, "true", "false"])
DOCUMENT = st.fixed_dictionaries(
    dict.fromkeys(FLAGS, FLAG),
    optional={
        "allowed_types": st.lists(st.sampled_from(sorted(DOCUMENT_TYPES)), unique=True),
    },
)
OPTIONS = st.sampled_from([{}, {"document": ""}]) | DOCUMENT.map(lambda one: {"document": one})
ASKED = st.fixed_dictionaries(
    {"type": st.sampled_from(["document", "id_number"]), "options": OPTIONS},
    optional={
        "metadata": st.just("") | st.dictionaries(st.sampled_from("abc"), VALUES),
        "provided_details": st.dictionaries(st.sampled_from(["email", "phone"]), VALUES),
    },
)


def updated(session: dict[str, Any], update: dict[str, Any], *, merges: bool) -> dict[str, Any]:
    """The session after Stripe's update, which merges or replaces `options.document`."""
    found = dict(session)
    if "type" in update:
        found["type"] = update["type"]
    document = update.get("options", {}).get("document")
    if document == "":
        found["options"] = {}
    elif document is not None:
        before = found.get("options", {}).get("document", {}) if merges else {}
        found["options"] = {"document": {**before, **document}}
    for name in ("metadata", "provided_details"):
        if update.get(name) == "":
            found[name] = {}
        elif name in update:
            merged = {**(found.get(name) or {}), **update[name]}
            found[name] = {key: value for key, value in merged.items() if value != ""}
    return found


def opened(asked: dict[str, Any]) -> dict[str, Any]:
    """A session as Stripe opens it, with no more than what is asked for."""
    return updated({"type": None, "metadata": {}, "options": {}}, asked, merges=False)


@given(ASKED, ASKED, st.booleans())
def test_one_update_is_enough_and_gives_the_level_that_is_asked_for(
    first: dict[str, Any], second: dict[str, Any], merges: bool
) -> None:
    session = opened(first)
    session = updated(session, changes(session, second), merges=merges)
    assert changes(session, second) == {}
    assert Level.of(session) == Level.of(second)


@given(ASKED)
def test_a_session_that_was_just_opened_so_needs_no_update(asked: dict[str, Any]) -> None:
    assert changes(opened(asked), asked) == {}


@given(ASKED, ASKED, ASKED)
def test_what_does_for_one_that_does_for_a_third_does_for_the_third(
    one: dict[str, Any], two: dict[str, Any], three: dict[str, Any]
) -> None:
    a, b, c = Level.of(one), Level.of(two), Level.of(three)
    if satisfies(a, b) and satisfies(b, c):
        assert satisfies(a, c)
