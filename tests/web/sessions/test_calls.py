"""Retrieve, list, update, cancel and redact: Stripe's own calls, passed through."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from redis import Redis

from tests.sandbox.processes import Sandbox
from tests.web.sessions.conftest import (
    AT_STRIPE,
    BASE,
    BEARER,
    Backend,
    Recorder,
    error_of,
    opened_backend,
)

NEEDED = {"type": "document", "client_reference_id": "user-1"}
# What the package would take for its own options, were they not in their place.
UNKNOWN = {
    "color": "red",
    "api_key": "sk_test_other",
    "stripe_account": "acct_other",
    "stripe_version": "2019-01-01",
    "idempotency_key": "x",
    "headers": {"Authorization": "Bearer x"},
    "base": "files",
    "usage": "x",
}
AS_FORM = {
    **{name: value for name, value in UNKNOWN.items() if isinstance(value, str)},
    "headers[Authorization]": "Bearer x",
}
HEADERS = {"authorization", "stripe-account", "stripe-version", "content-type"}


@pytest.mark.parametrize("call", ["", "/vs_1", "/vs_1/cancel", "/vs_1/redact"])
def test_no_call_takes_a_long_list_of_what_to_expand(
    told: Backend, recorder: Recorder, call: str
) -> None:
    long = ["x"] * 21
    assert error_of(told.post(call, {"expand": long} | NEEDED), 400)["param"] == "expand"
    if call in ("", "/vs_1"):
        query = urlencode([("expand[]", name) for name in long])
        assert error_of(told.get(call, query), 400)["param"] == "expand"
    assert recorder.asked == []


@pytest.mark.parametrize("call", ["", "/vs_1", "/vs_1/cancel", "/vs_1/redact"])
@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"metadata": None}, "metadata"),
        ({"metadata": {"a": None}}, "metadata[a]"),
        ({"options": {"document": None}}, "options[document]"),
        (
            {"options": {"document": {"allowed_types": [None]}}},
            "options[document][allowed_types][0]",
        ),
        ({"type": None}, "type"),
        ({"color": None}, "color"),
    ],
)
def test_a_null_which_no_form_can_carry_is_400(
    told: Backend, recorder: Recorder, call: str, body: dict[str, Any], param: str
) -> None:
    error = error_of(told.post(call, NEEDED | body), 400)
    assert (error["param"], error["code"]) == (param, "parameter_invalid_empty")
    assert recorder.asked == []


@pytest.mark.parametrize(
    "body", [{"metadata[a]": "x"}, {"metadata": {"a][b": "x"}}, {"a": [{"b]": 1}]}]
)
def test_a_name_that_would_be_a_part_of_another_is_400(
    told: Backend, recorder: Recorder, body: dict[str, Any]
) -> None:
    assert "square brackets" in error_of(told.post("", NEEDED | body), 400)["message"]
    assert recorder.asked == []


@pytest.mark.parametrize("body", [{"": "x"}, {"metadata": {"": "x"}}, {"a": [{"": 1}]}])
def test_a_name_that_is_empty_is_400(
    told: Backend, recorder: Recorder, body: dict[str, Any]
) -> None:
    assert "name is empty" in error_of(told.post("", NEEDED | body), 400)["message"]
    assert recorder.asked == []


def test_a_session_is_retrieved_as_stripe_has_it(
    backend: Backend, sandbox: Sandbox, reference: str
) -> None:
    made = backend.created(reference)
    sandbox.submit(made["id"], "document_expired")
    told = backend.get("/" + made["id"]).json()
    assert (told["id"], told["last_error"]["code"]) == (made["id"], "document_expired")
    assert told["url"]
    assert told["client_secret"]
    assert "resumed" not in told


def test_an_unknown_session_is_stripes_404(backend: Backend) -> None:
    for answer in (backend.get("/vs_x"), backend.post("/vs_x"), backend.post("/vs_x/cancel")):
        assert error_of(answer, 404)["code"] == "resource_missing"


@pytest.mark.parametrize("id", ["vs.1", "vs%201", "%C3%A9", "a" * 256, "..", "vs%0A", "%00", "%ff"])
def test_an_id_that_is_none_is_400(told: Backend, recorder: Recorder, id: str) -> None:
    for method, path in (("GET", ""), ("POST", ""), ("POST", "/cancel"), ("POST", "/redact")):
        if id == ".." and not path:
            continue  # the client itself makes another path of it
        answer = told.client.request(method, f"{BASE}/{id}{path}", headers=BEARER)
        if id != "..":
            assert error_of(answer, 400)["param"] == "session"
    assert recorder.asked == []


def test_an_update_changes_stripes_four(backend: Backend, reference: str) -> None:
    made = backend.created(reference, metadata={"plan": "gold", "old": "x"})
    answer = backend.post(
        "/" + made["id"],
        {
            "metadata": {"plan": "red", "old": ""},
            "options": {"document": {"require_matching_selfie": True}},
            "provided_details": {"email": "jenny@example.com"},
            "type": "id_number",
        },
    )
    assert answer.status_code == 200, answer.text
    told = backend.get("/" + made["id"]).json()
    assert told["metadata"] == {"plan": "red"}
    assert told["options"] == {"document": {"require_matching_selfie": True}}
    assert told["provided_details"] == {"email": "jenny@example.com"}
    assert (told["type"], told["client_reference_id"]) == ("id_number", reference)


def test_metadata_is_merged_key_by_key_and_cleared_as_a_whole(
    backend: Backend, reference: str
) -> None:
    made = backend.created(reference, metadata={"a": "1"})
    assert backend.form("/" + made["id"], ("metadata[b]", "2")).json()["metadata"] == {
        "a": "1",
        "b": "2",
    }
    assert backend.form("/" + made["id"], ("metadata[a]", "")).json()["metadata"] == {"b": "2"}
    assert backend.form("/" + made["id"], ("metadata", "")).json()["metadata"] == {}


@pytest.mark.parametrize("name", ["client_reference_id", "return_url", "verification_flow", "x"])
def test_stripe_itself_refuses_to_update_anything_else(
    backend: Backend, reference: str, name: str
) -> None:
    made = backend.created(reference)
    error = error_of(backend.post("/" + made["id"], {name: "x"}), 400)
    assert (error["code"], error["param"]) == ("parameter_unknown", name)


def test_a_session_that_is_decided_cannot_be_updated(
    backend: Backend, sandbox: Sandbox, reference: str
) -> None:
    made = backend.created(reference)
    sandbox.submit(made["id"], "verified")
    error = error_of(backend.post("/" + made["id"], {"type": "id_number"}), 400)
    assert "verified" in error["message"]


@pytest.mark.parametrize("how", ["cancel", "redact"])
def test_a_session_can_be_ended(backend: Backend, reference: str, how: str) -> None:
    made = backend.created(reference)
    told = backend.post(f"/{made['id']}/{how}").json()
    assert told["status"] == "canceled"
    assert told["redaction"] == ({"status": "processing"} if how == "redact" else None)
    error_of(backend.post(f"/{made['id']}/{how}"), 400)


@pytest.mark.parametrize("path", ["/vs_1", "/vs_1/cancel", "/vs_1/redact"])
def test_an_unknown_parameter_of_a_body_is_passed_on_and_changes_nothing_else(
    told: Backend, recorder: Recorder, path: str
) -> None:
    assert told.post(path).status_code == 200
    plain = {name: value for name, value in recorder.last.items() if name in HEADERS}
    assert told.post(path, UNKNOWN).status_code == 200
    assert {name: value for name, value in recorder.last.items() if name in HEADERS} == plain
    assert dict(parse_qsl(recorder.last["body"])) == AS_FORM


@pytest.mark.parametrize("path", ["", "/vs_1"])
def test_an_unknown_parameter_of_a_query_is_passed_on_and_changes_nothing_else(
    told: Backend, recorder: Recorder, path: str
) -> None:
    if not path:
        recorder.body = '{"object": "list", "data": [], "has_more": false, "url": "x"}'
    assert told.get(path).status_code == 200
    plain = {name: value for name, value in recorder.last.items() if name in HEADERS}
    assert told.get(path, urlencode(AS_FORM)).status_code == 200
    assert {name: value for name, value in recorder.last.items() if name in HEADERS} == plain
    asked, _, query = recorder.last["path"].partition("?")
    assert (asked, dict(parse_qsl(query))) == (AT_STRIPE + path, AS_FORM)


@pytest.mark.parametrize("query", ["color=x", "livemode=true", "metadata[a]=b"])
def test_stripe_itself_refuses_an_unknown_filter(backend: Backend, query: str) -> None:
    error = error_of(backend.get("", query), 400)
    assert error["code"] == "parameter_unknown"


@pytest.mark.parametrize("path", ["/vs_1", "/vs_1/cancel", "/vs_1/redact"])
def test_the_callers_idempotency_key_is_passed_on(
    told: Backend, recorder: Recorder, path: str
) -> None:
    assert told.post(path, {}, {"Idempotency-Key": "a key"}).status_code == 200
    assert recorder.last["idempotency-key"] == "a key"
    assert told.post(path, {}, {"Idempotency-Key": "k" * 255}).status_code == 200
    for wrong in ("k" * 256, b"\xe9"):
        headers = {**BEARER, "Idempotency-Key": wrong}
        answer = told.client.post(BASE + path, headers=headers)  # type: ignore[arg-type]
        assert "Idempotency-Key" in error_of(answer, 400)["message"]


def test_the_connected_account_is_passed_on(told: Backend, recorder: Recorder) -> None:
    named = {"Stripe-Account": "acct_1"}
    for answer in (
        told.get("/vs_1", **named),
        told.post("/vs_1", {}, named),
        told.post("/vs_1/cancel", {}, named),
        told.post("/vs_1/redact", {}, named),
        told.post("", {"type": "document", "client_reference_id": "user-2"}, named),
    ):
        assert answer.status_code == 200
    recorder.body = '{"object": "list", "data": [], "has_more": false, "url": "x"}'
    assert told.get("", **named).status_code == 200
    # A start lists before it creates.
    assert [asked["stripe-account"] for asked in recorder.asked] == ["acct_1"] * 7


@pytest.fixture
def three(backend: Backend, reference: str) -> list[str]:
    """Three sessions of one reference, the newest first."""
    made = []
    for _ in range(3):
        id = backend.created(reference)["id"]
        assert backend.post(f"/{id}/cancel").status_code == 200
        made.append(id)
    return made[::-1]


def listed(backend: Backend, query: str) -> list[str]:
    answer = backend.get("", query)
    assert answer.status_code == 200, answer.text
    assert answer.json()["object"] == "list"
    return [session["id"] for session in answer.json()["data"]]


def test_sessions_are_listed_by_reference_and_status(
    backend: Backend, reference: str, three: list[str]
) -> None:
    of_reference = f"client_reference_id={reference}"
    assert listed(backend, of_reference) == three
    assert listed(backend, of_reference + "&status=canceled") == three
    assert listed(backend, of_reference + "&status=verified") == []


def test_a_list_is_read_page_by_page(backend: Backend, reference: str, three: list[str]) -> None:
    base = f"client_reference_id={reference}&limit=2"
    first = backend.get("", base).json()
    assert ([each["id"] for each in first["data"]], first["has_more"]) == (three[:2], True)
    assert first["url"] == BASE
    rest = backend.get("", f"{base}&starting_after={three[1]}").json()
    assert ([each["id"] for each in rest["data"]], rest["has_more"]) == (three[2:], False)
    assert listed(backend, f"{base}&ending_before={three[2]}") == three[:2]


def test_a_list_is_narrowed_by_time(backend: Backend, reference: str, three: list[str]) -> None:
    created = backend.get("/" + three[0]).json()["created"]
    base = f"client_reference_id={reference}&created"
    assert listed(backend, f"{base}[gte]={created - 60}&created%5Blt%5D={created + 60}") == three
    assert listed(backend, f"{base}[gt]={created + 60}") == []
    assert listed(backend, f"{base}={created - 10_000}") == []


def test_every_filter_is_passed_on(told: Backend, recorder: Recorder) -> None:
    recorder.body = '{"object": "list", "data": [], "has_more": false, "url": "x"}'
    query = (
        "client_reference_id=u&created[gte]=1&created[lt]=9&related_customer=cus_1"
        "&related_customer_account=acct_1&status=verified&limit=3&starting_after=vs_1"
        "&expand[]=data.verified_outputs"
    )
    assert told.get("", query).status_code == 200
    path, _, sent = recorder.last["path"].partition("?")
    assert path == AT_STRIPE
    expected = query.replace("expand[]", "expand[0]")
    assert sorted(parse_qsl(sent)) == sorted(parse_qsl(expected))


@pytest.mark.parametrize(
    "query",
    ["a" * 10 + "[b][c][d][e][f][g][h]=1", "[]=1", "limit=%ff", "created=1&created[gt]=1", "=1"],
)
def test_a_query_that_means_nothing_is_400(told: Backend, recorder: Recorder, query: str) -> None:
    error_of(told.get("", query), 400)
    assert recorder.asked == []


@pytest.mark.parametrize("host", ["[", "a b", "]:x", "é"])
def test_a_host_that_means_nothing_is_no_fault(
    told: Backend, recorder: Recorder, host: str
) -> None:
    headers: dict[str, Any] = {**BEARER, "Host": host.encode("latin-1")}
    assert told.client.get(f"{BASE}/vs_1", headers=headers).status_code == 200


OUTPUTS = {"first_name": "Jenny", "dob": {"year": 1984, "month": 2, "day": 29}}


def test_verified_data_comes_only_if_it_is_asked_for(
    backend: Backend, sandbox: Sandbox, reference: str
) -> None:
    made = backend.created(reference)
    sandbox.submit(made["id"], "verified", verified_outputs=OUTPUTS)
    assert "verified_outputs" not in backend.get("/" + made["id"]).json()
    told = backend.get("/" + made["id"], "expand[]=verified_outputs").json()
    assert told["verified_outputs"]["first_name"] == "Jenny"
    assert "dob" not in told["verified_outputs"]


def test_a_birthday_needs_the_restricted_key(
    environment: dict[str, str], sandbox: Sandbox, redis: Redis, reference: str
) -> None:
    query = "expand[]=verified_outputs&expand[]=verified_outputs.dob"
    with opened_backend(environment, sandbox) as backend:
        made = backend.created(reference)
        sandbox.submit(made["id"], "verified", verified_outputs=OUTPUTS)
        assert "restricted key" in error_of(backend.get("/" + made["id"], query), 403)["message"]
    with opened_backend(environment | {"STRIPE_RESTRICTED_KEY": "rk_test_1"}, sandbox) as backend:
        told = backend.get("/" + made["id"], query).json()
        assert told["verified_outputs"]["dob"] == OUTPUTS["dob"]
        of_reference = f"client_reference_id={reference}&expand[]=data.verified_outputs.dob"
        (listed,) = backend.get("", of_reference).json()["data"]
        assert listed["verified_outputs"]["dob"] == OUTPUTS["dob"]
        assert backend.created(
            reference, reverify=True, expand=["verified_outputs", "verified_outputs.dob"]
        )["id"]


def test_the_restricted_key_is_used_for_expanding_and_nothing_else(
    environment: dict[str, str], sandbox: Sandbox, redis: Redis, recorder: Recorder
) -> None:
    keys = {"STRIPE_API_BASE": recorder.url, "STRIPE_RESTRICTED_KEY": "rk_test_1"}
    with opened_backend(environment | keys, sandbox) as backend:
        backend.get("/vs_1", "expand[]=verified_outputs")
        assert recorder.last["authorization"] == "Bearer rk_test_1"
        backend.get("/vs_1")
        backend.post("/vs_1")
        backend.post("/vs_1/cancel")
        backend.post("/vs_1/redact")
        backend.create("user-2")
        recorder.body = '{"object": "list", "data": [], "has_more": false, "url": "x"}'
        backend.get()
        asked = [call["authorization"] for call in recorder.asked[1:]]
        assert asked == ["Bearer sk_test_1"] * 7  # a start lists before it creates
