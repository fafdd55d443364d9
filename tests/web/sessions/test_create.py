"""`POST /v1/verification_sessions`: what is asked for, and in which forms."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

import pytest

from tests.web.sessions.conftest import BASE, BEARER, Backend, Recorder, error_of

EVERYTHING: dict[str, Any] = {
    "type": "document",
    "client_reference_id": "user-1",
    "verification_flow": "vf_1",
    "metadata": {"plan": "gold & red", "ünï": "%[]="},
    "options": {
        "document": {
            "allowed_types": ["passport", "id_card"],
            "require_id_number": True,
            "require_live_capture": False,
            "require_matching_selfie": True,
        },
    },
    "provided_details": {"email": "jenny@example.com", "phone": "+15555550100"},
    "related_customer": "cus_1",
    "related_customer_account": "acct_1",
    "related_person": {"account": "acct_1", "person": "person_1"},
    "return_url": "https://example.com/back?a=1&b=2#c",
}
AS_FORM = [
    ("type", "document"),
    ("client_reference_id", "user-1"),
    ("verification_flow", "vf_1"),
    ("metadata[plan]", "gold & red"),
    ("metadata[ünï]", "%[]="),
    ("options[document][allowed_types][0]", "passport"),
    ("options[document][allowed_types][1]", "id_card"),
    ("options[document][require_id_number]", "true"),
    ("options[document][require_live_capture]", "false"),
    ("options[document][require_matching_selfie]", "true"),
    ("provided_details[email]", "jenny@example.com"),
    ("provided_details[phone]", "+15555550100"),
    ("related_customer", "cus_1"),
    ("related_customer_account", "acct_1"),
    ("related_person[account]", "acct_1"),
    ("related_person[person]", "person_1"),
    ("return_url", "https://example.com/back?a=1&b=2#c"),
]


def sent(recorder: Recorder) -> list[tuple[str, str]]:
    return sorted(parse_qsl(recorder.last["body"], keep_blank_values=True))


def test_every_parameter_of_a_json_body_is_passed_on(told: Backend, recorder: Recorder) -> None:
    assert told.post("", EVERYTHING).status_code == 200
    assert sent(recorder) == sorted(AS_FORM)


def test_every_parameter_of_a_form_is_passed_on(told: Backend, recorder: Recorder) -> None:
    assert told.form("", *AS_FORM).status_code == 200
    assert sent(recorder) == sorted(AS_FORM)


def test_a_forms_list_may_be_without_numbers(told: Backend, recorder: Recorder) -> None:
    pairs = [(name.replace("[0]", "[]").replace("[1]", "[]"), value) for name, value in AS_FORM]
    assert told.form("", *pairs).status_code == 200
    assert sent(recorder) == sorted(AS_FORM)


def test_stripe_makes_the_session_that_was_asked_for(backend: Backend, reference: str) -> None:
    made = backend.created(
        reference,
        metadata={"plan": "gold"},
        options={"document": {"require_matching_selfie": True, "allowed_types": ["passport"]}},
        provided_details={"email": "jenny@example.com"},
        related_customer="cus_1",
    )
    assert (made["object"], made["status"]) == ("identity.verification_session", "requires_input")
    assert made["client_reference_id"] == reference
    assert made["metadata"] == {"plan": "gold"}
    assert made["options"]["document"] == {
        "require_matching_selfie": True,
        "allowed_types": ["passport"],
    }
    assert made["provided_details"] == {"email": "jenny@example.com"}
    assert made["related_customer"] == "cus_1"
    assert made["client_secret"]
    assert made["url"].startswith("http")
    assert made["resumed"] is False
    assert backend.at_stripe(reference) == [made["id"]]


def test_a_session_may_be_made_by_a_verification_flow_alone(
    backend: Backend, reference: str
) -> None:
    answer = backend.post("", {"client_reference_id": reference, "verification_flow": "vf_1"})
    assert (answer.status_code, answer.json()["verification_flow"]) == (200, "vf_1")


def test_a_field_is_expanded_if_it_is_asked_for(backend: Backend, reference: str) -> None:
    assert "verified_outputs" not in backend.created(reference)
    assert backend.created(reference, expand=["verified_outputs"])["verified_outputs"] is None


@pytest.mark.parametrize("name", ["color", "Type", "\N{SNOWMAN}", "livemode", "api_key"])
def test_stripe_itself_refuses_an_unknown_parameter(
    backend: Backend, reference: str, name: str
) -> None:
    error = error_of(backend.create(reference, **{name: "x"}), 400)
    assert (error["code"], error["param"]) == ("parameter_unknown", name)
    assert backend.at_stripe(reference) == []


def test_stripe_names_the_unknown_part_of_a_parameter(backend: Backend, reference: str) -> None:
    error = error_of(backend.create(reference, options={"document": {"color": "red"}}), 400)
    assert (error["code"], error["param"]) == ("parameter_unknown", "options[document][color]")


@pytest.mark.parametrize("given", ["", 17, ["user-1"], {"a": "b"}, "x" * 5_001, "NUL \0", True])
def test_a_session_without_a_usable_reference_is_refused(backend: Backend, given: Any) -> None:
    error = error_of(
        backend.client.post(
            BASE,
            content=_json({"type": "document", "client_reference_id": given}),
            headers=BEARER | {"Content-Type": "application/json"},
        ),
        400,
    )
    assert (error["code"], error["param"]) == ("parameter_missing", "client_reference_id")


def test_a_missing_reference_is_refused(backend: Backend) -> None:
    error = error_of(backend.post("", {"type": "document"}), 400)
    assert (error["code"], error["param"]) == ("parameter_missing", "client_reference_id")


@pytest.mark.parametrize("params", [{}, {"type": ""}])
def test_a_session_without_type_and_flow_is_refused(
    backend: Backend, reference: str, params: dict[str, Any]
) -> None:
    error = error_of(backend.post("", {"client_reference_id": reference} | params), 400)
    assert (error["code"], error["param"]) == ("parameter_missing", "type")
    assert backend.at_stripe(reference) == []


@pytest.mark.parametrize("odd", ["a/b?c=d&e=f#g", "用户 \N{GRINNING FACE}", "L" * 5_000, "\n"])
def test_any_reference_that_stripe_takes_is_taken(backend: Backend, odd: str) -> None:
    made = backend.created(odd)
    assert made["client_reference_id"] == odd
    assert backend.reference(odd).json()["standing"]["session_id"] == made["id"]


@pytest.mark.parametrize("value", [1, 0, "yes", "True", None, [], {}, 1.0])
def test_reverify_is_true_or_false_and_nothing_else(
    backend: Backend, reference: str, value: Any
) -> None:
    assert error_of(backend.create(reference, reverify=value), 400)["param"] == "reverify"


@pytest.mark.parametrize("value", ["verified_outputs", {"a": "b"}, [1], ["x"] * 21, None])
def test_expand_is_a_list_of_names(backend: Backend, reference: str, value: Any) -> None:
    assert error_of(backend.create(reference, expand=value), 400)["param"] == "expand"
    assert backend.at_stripe(reference) == []


@pytest.mark.parametrize(
    "body",
    [
        b'{"type"',
        b"[]",
        b'"text"',
        b"null",
        b"\xff",
        b"[" * 60_000,
        b'{"a": ' * 20_000,
        b'{"metadata": {"k": "\\ud800"}, "client_reference_id": "u", "type": "document"}',
        b'{"\\ud800": 1}',
        b'{"metadata": {"\\udfff": "x"}, "client_reference_id": "u", "type": "document"}',
        b'{"options": ' + b'{"a":' * 200 + b"1" + b"}" * 201,
        b'{"options": ' + b"[" * 950 + b"]" * 950 + b"}",
        b'{"n": ' + b"9" * 5_000 + b"}",
        b'{"type": NaN, "client_reference_id": "u"}',
        b'{"type": 1e999, "client_reference_id": "u"}',
    ],
    ids=lambda body: repr(body[:24]),
)
def test_a_json_body_that_cannot_be_passed_on_is_refused(backend: Backend, body: bytes) -> None:
    headers = BEARER | {"Content-Type": "application/json; charset=utf-8"}
    error = error_of(backend.client.post(BASE, content=body, headers=headers), 400)
    assert error["type"] == "invalid_request_error"


def test_json_is_known_by_its_type_in_any_case(told: Backend, recorder: Recorder) -> None:
    headers = BEARER | {"Content-Type": "Application/JSON"}
    answer = told.client.post(BASE, content=_json(EVERYTHING), headers=headers)
    assert answer.status_code == 200
    assert sent(recorder) == sorted(AS_FORM)


@pytest.mark.parametrize("type", ["application/xml", "text/plain", "multipart/form-data"])
def test_a_body_of_another_type_is_refused(backend: Backend, type: str) -> None:
    headers = BEARER | {"Content-Type": type}
    answer = backend.client.post(BASE, content=b"<type>document</type>", headers=headers)
    assert "Content-Type" in error_of(answer, 400)["message"]


def test_a_body_over_the_limit_is_413(backend: Backend, reference: str) -> None:
    answer = backend.create(reference, metadata={"k": "x" * 200_000})
    assert error_of(answer, 413)["message"] == "the body is too large"
    assert answer.headers["connection"] == "close"


def _json(body: Any) -> bytes:
    return json.dumps(body).encode()
