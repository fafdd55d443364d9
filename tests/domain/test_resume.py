"""An open session becomes what is asked for, or another is needed."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.resume import changes, needs_another

SELFIE = {"document": {"require_matching_selfie": True}}
WHOLE_SELFIE = {
    "document": {
        "allowed_types": ["driving_license", "id_card", "passport"],
        "require_id_number": False,
        "require_live_capture": False,
        "require_matching_selfie": True,
    }
}


def session(**fields: Any) -> dict[str, Any]:
    """An open session as Stripe shows it."""
    shown: dict[str, Any] = {
        "type": "document",
        "client_reference_id": "user-1",
        "metadata": {},
        "options": {},
        "provided_details": None,
        "related_customer": None,
    }
    return shown | fields


def asked(**params: Any) -> dict[str, Any]:
    return {"type": "document", "client_reference_id": "user-1"} | params


FLOW = session(type="verification_flow", verification_flow="vf_1", options=SELFIE)


@pytest.mark.parametrize(
    ("shown", "params", "update"),
    [
        (session(), asked(), {}),
        (session(), asked(type="id_number"), {"type": "id_number"}),
        # The level becomes the one asked for, up or down, and is written in full.
        (session(), asked(options=SELFIE), {"options": WHOLE_SELFIE}),
        (session(options=SELFIE), asked(options=SELFIE), {}),
        (session(options=WHOLE_SELFIE), asked(options=SELFIE), {}),
        (session(options=SELFIE), asked(), {"options": {"document": ""}}),
        (session(options=SELFIE), asked(options={"document": ""}), {"options": {"document": ""}}),
        (
            session(options={"document": {"allowed_types": ["passport"]}}),
            asked(options=SELFIE),
            {"options": WHOLE_SELFIE},
        ),
        (
            session(options={"document": {"allowed_types": ["passport", "id_card"]}}),
            asked(options={"document": {"allowed_types": ["id_card", "passport"]}}),
            {},
        ),
        # As a form has it.
        (
            session(options=SELFIE),
            asked(options={"document": {"require_matching_selfie": "true"}}),
            {},
        ),
        # Metadata and details: only what is asked for and differs.
        (session(), asked(metadata={"plan": "gold"}), {"metadata": {"plan": "gold"}}),
        (session(metadata={"plan": "gold", "note": "x"}), asked(metadata={"plan": "gold"}), {}),
        (session(metadata={"plan": "gold"}), asked(), {}),
        (session(metadata={"n": "1"}), asked(metadata={"n": 1}), {}),
        (session(metadata={"n": "true"}), asked(metadata={"n": True}), {}),
        (session(), asked(metadata={"gone": ""}), {}),
        (session(metadata={"gone": "x"}), asked(metadata={"gone": ""}), {"metadata": {"gone": ""}}),
        (session(metadata={"a": "b"}), asked(metadata=""), {"metadata": ""}),
        (session(), asked(metadata=""), {}),
        (
            session(),
            asked(provided_details={"email": "j@example.com"}),
            {"provided_details": {"email": "j@example.com"}},
        ),
        (
            session(provided_details={"email": "j@example.com", "phone": "+1"}),
            asked(provided_details={"email": "j@example.com"}),
            {},
        ),
        # A flow brings its own options.
        (FLOW, {"verification_flow": "vf_1"}, {}),
        (FLOW, {"verification_flow": "vf_1", "type": "document"}, {}),
        # What Stripe adds, or refuses, is passed on.
        (
            session(),
            asked(options={"document": {"require_tea": True}}),
            {
                "options": {
                    "document": {
                        **WHOLE_SELFIE["document"],
                        "require_matching_selfie": False,
                        "require_tea": True,
                    }
                }
            },
        ),
        (
            session(options={"document": {"require_tea": True}}),
            asked(options={"document": {"require_tea": "true"}}),
            {},
        ),
        (session(), asked(options={"face": {"on": "1"}}), {"options": {"face": {"on": "1"}}}),
        (session(), asked(options="x"), {"options": "x"}),
        (session(), asked(options={"document": "x"}), {"options": {"document": "x"}}),
        (session(), asked(metadata=["x"]), {"metadata": ["x"]}),
    ],
)
def test_what_differs_is_updated_and_nothing_else(
    shown: dict[str, Any], params: dict[str, Any], update: dict[str, Any]
) -> None:
    assert changes(shown, params) == update


@pytest.mark.parametrize(
    ("shown", "params", "another"),
    [
        (session(), asked(), False),
        (session(), asked(type="id_number", options=SELFIE, metadata={"a": "b"}), False),
        (session(), asked(return_url="https://example.com"), False),  # compared elsewhere
        (session(), {"verification_flow": "vf_1"}, True),
        (FLOW, {"verification_flow": "vf_1"}, False),
        (FLOW, {"verification_flow": "vf_2"}, True),
        (FLOW, asked(), True),
        (session(verification_flow=None), asked(), False),
        (session(), asked(related_customer="cus_1"), True),
        (session(related_customer="cus_1"), asked(related_customer="cus_1"), False),
        (session(related_customer="cus_1"), asked(), False),
        (session(), asked(related_person={"account": "acct_1", "person": "person_1"}), True),
        (session(), asked(tea="green"), True),  # a parameter that is new to us
    ],
)
def test_another_session_is_needed_where_what_is_fixed_differs(
    shown: dict[str, Any], params: dict[str, Any], another: bool
) -> None:
    assert needs_another(shown, params) is another
