"""Which check does for which request: `reference_verified` is only said of one that is enough."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.level import Level, satisfies


def document(**options: Any) -> dict[str, Any]:
    return {"type": "document", "options": {"document": options}}


PLAIN: dict[str, Any] = {"type": "document"}
SELFIE = document(require_matching_selfie=True)
NUMBER = document(require_id_number=True)
LIVE = document(require_live_capture=True)
BOTH = document(require_matching_selfie=True, require_id_number=True)
PASSPORT = document(allowed_types=["passport"])
CARDS = document(allowed_types=["passport", "id_card"])
ANY = document(allowed_types=["passport", "id_card", "driving_license"])
ID_NUMBER: dict[str, Any] = {"type": "id_number"}
FLOW: dict[str, Any] = {"type": "verification_flow", "verification_flow": "vf_1"}

TABLE = [
    # done, asked, whether it is enough
    (PLAIN, PLAIN, True),
    (SELFIE, PLAIN, True),
    (PLAIN, SELFIE, False),
    (SELFIE, SELFIE, True),
    (SELFIE, NUMBER, False),
    (BOTH, SELFIE, True),
    (BOTH, NUMBER, True),
    (SELFIE, BOTH, False),
    (LIVE, PLAIN, True),
    (PLAIN, LIVE, False),
    # Documents: who was free to show a licence may have shown one.
    (PLAIN, PASSPORT, False),
    (PASSPORT, PLAIN, True),
    (PASSPORT, CARDS, True),
    (CARDS, PASSPORT, False),
    (PLAIN, ANY, True),
    (ANY, PLAIN, True),
    # Id numbers.
    (ID_NUMBER, PLAIN, False),
    (PLAIN, ID_NUMBER, False),
    (ID_NUMBER, ID_NUMBER, True),
    (NUMBER, ID_NUMBER, True),
    (ID_NUMBER, NUMBER, False),
    (SELFIE, ID_NUMBER, False),
    (ID_NUMBER, {**SELFIE, "type": "id_number"}, True),  # options that do not apply to it
    # Flows.
    (FLOW, {"verification_flow": "vf_1"}, True),
    (FLOW, {"verification_flow": "vf_2"}, False),
    (FLOW, PLAIN, False),
    (PLAIN, {"verification_flow": "vf_1"}, False),
    (BOTH, {"verification_flow": "vf_1"}, False),
    (FLOW, {**SELFIE, "verification_flow": "vf_1"}, False),
    ({**FLOW, "options": SELFIE["options"]}, {"verification_flow": "vf_1"}, True),
    # What is not known is not enough.
    ({"type": None}, PLAIN, False),
    ({"type": "selfie"}, PLAIN, False),
]


@pytest.mark.parametrize(("done", "asked", "enough"), TABLE)
def test_a_check_does_for_one_that_asks_no_more(
    done: dict[str, Any], asked: dict[str, Any], enough: bool
) -> None:
    assert satisfies(Level.of(done), Level.of(asked)) is enough


@pytest.mark.parametrize("one", [done for done, _, _ in TABLE])
def test_every_check_does_for_itself(one: dict[str, Any]) -> None:
    assert satisfies(Level.of(one), Level.of(one))


def test_a_form_asks_for_what_json_asks_for() -> None:
    form = document(require_matching_selfie="true", require_id_number="false")
    assert Level.of(form) == Level.of(SELFIE)


@pytest.mark.parametrize(
    "options",
    [None, "", {}, {"document": None}, {"document": ""}, {"document": {"allowed_types": []}}, "x"],
)
def test_no_options_are_no_options_in_whatever_form(options: Any) -> None:
    assert Level.of({"type": "document", "options": options}) == Level.of(PLAIN)
