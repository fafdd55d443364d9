"""Stripe's own paths and headers, by which its packages work against our address."""

from __future__ import annotations

import base64
import json
import re

import pytest

from tests.sandbox.processes import Sandbox
from tests.web.conftest import TOKEN
from tests.web.sessions.conftest import AT_STRIPE, BASE, BEARER, Backend, Recorder, error_of

OURS = re.compile(r"req_[0-9a-f]{14}\Z")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", ""),
        ("GET", ""),
        ("GET", "/vs_1"),
        ("POST", "/vs_1"),
        ("POST", "/vs_1/cancel"),
        ("POST", "/vs_1/redact"),
    ],
)
def test_stripes_path_asks_for_the_same_call_as_ours(
    told: Backend, recorder: Recorder, method: str, path: str
) -> None:
    params = {"type": "document", "client_reference_id": "user-1"} if not path else {}
    if (method, path) == ("GET", ""):
        recorder.body = '{"object": "list", "data": [], "has_more": false, "url": "x"}'
    for base in (BASE, AT_STRIPE):
        body = params if method == "POST" else None
        answer = told.client.request(method, base + path, json=body, headers=BEARER)
        assert answer.status_code == 200, answer.text
        assert (recorder.last["method"], recorder.last["path"]) in {
            (method, AT_STRIPE + path),
            ("GET", AT_STRIPE + "/vs_1"),  # the second start resumes
        }


def test_a_list_names_the_path_at_which_it_goes_on(backend: Backend, reference: str) -> None:
    for base in (BASE, AT_STRIPE):
        path = f"{base}?client_reference_id={reference}"
        assert backend.client.get(path, headers=BEARER).json() == {
            "object": "list",
            "url": base,
            "has_more": False,
            "data": [],
        }


@pytest.mark.parametrize("status", [200, 400, 404, 429, 500])
def test_stripes_request_id_is_passed_on(told: Backend, recorder: Recorder, status: int) -> None:
    recorder.status, recorder.headers = status, {"Request-Id": "req_ofStripe1"}
    if status != 200:
        recorder.body = json.dumps({"error": {"type": "x", "message": "y"}})
    params = {"type": "document", "client_reference_id": "user-1"}
    for answer in (
        told.post("", params),
        told.get("/vs_1"),
        told.post("/vs_1"),
        told.post("/vs_1/cancel"),
        told.post("/vs_1/redact"),
    ):
        assert answer.status_code == status
        assert answer.headers["request-id"] == "req_ofStripe1"
    if status == 200:
        recorder.body = '{"object": "list", "data": [], "has_more": false, "url": "x"}'
    assert told.get().headers["request-id"] == "req_ofStripe1"


def test_a_resumed_session_has_the_id_of_the_call_that_shows_it(
    backend: Backend, reference: str
) -> None:
    first, second = backend.create(reference), backend.create(reference)
    assert second.json()["resumed"]
    for answer in (first, second):
        assert answer.headers["request-id"].startswith("req_")
        assert not OURS.match(answer.headers["request-id"])


@pytest.mark.parametrize("given", ["", "req 1", "x" * 256])
def test_what_is_no_request_id_is_not_passed_on(
    told: Backend, recorder: Recorder, given: str
) -> None:
    recorder.headers = {"Request-Id": given}
    assert OURS.match(told.get("/vs_1").headers["request-id"])


def test_every_other_answer_has_a_request_id_of_ours(backend: Backend) -> None:
    client = backend.client
    answers = [
        client.get("/healthz"),
        client.get("/v1/nothing", headers=BEARER),
        client.put(BASE, headers=BEARER),
        client.get(BASE),
        client.get("/v1/references/nobody", headers=BEARER),
        client.post(BASE, json={}, headers=BEARER),
        client.post("/webhooks/stripe", content=b"{}"),
    ]
    assert [answer.status_code for answer in answers] == [200, 404, 405, 401, 404, 400, 400]
    ids = [answer.headers["request-id"] for answer in answers]
    assert all(OURS.match(id) for id in ids)
    assert len(set(ids)) == len(ids)


def test_a_failure_is_logged_under_the_request_id_that_the_caller_has(
    told: Backend, recorder: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder.status, recorder.headers = 400, {"Request-Id": "req_ofStripe1"}
    recorder.body = json.dumps({"error": {"type": "x", "message": "y"}})
    told.get("/vs_1")
    recorder.headers, recorder.body, recorder.status = {}, "[]", 200
    id = told.get("/vs_1").headers["request-id"]
    output = capsys.readouterr()
    assert "req_ofStripe1" in output.out + output.err
    assert id in output.out + output.err


def test_a_refusal_of_ours_tells_the_packages_not_to_repeat_the_call(
    backend: Backend, sandbox: Sandbox, reference: str
) -> None:
    made = backend.created(reference)
    sandbox.submit(made["id"], "verified")
    backend.see(made["id"])
    answer = backend.create(reference)
    assert error_of(answer, 409)["code"] == "reference_verified"
    assert answer.headers["stripe-should-retry"] == "false"


@pytest.mark.parametrize("word", ["true", "false", "perhaps"])
def test_stripes_word_on_repeating_a_call_is_passed_on(
    told: Backend, recorder: Recorder, word: str
) -> None:
    recorder.status, recorder.headers = 409, {"Stripe-Should-Retry": word}
    recorder.body = json.dumps({"error": {"type": "x", "message": "y"}})
    found = told.post("/vs_1").headers.get("stripe-should-retry")
    assert found == (word if word in ("true", "false") else None)


def basic(user: str, password: str = "") -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_the_token_may_be_a_user_name_as_a_key_is_in_stripes_curl_examples(
    told: Backend, recorder: Recorder
) -> None:
    assert told.client.get(f"{BASE}/vs_1", headers=basic(TOKEN)).status_code == 200
    assert told.client.get(f"{BASE}/vs_1", headers=basic(TOKEN, "any")).status_code == 200
    asked = len(recorder.asked)
    for wrong in (
        basic("another"),
        basic("", TOKEN),
        basic(TOKEN + "x"),
        {"Authorization": "Basic " + TOKEN},
        {"Authorization": "Basic é".encode("latin-1")},
        {"Authorization": "Digest " + TOKEN},
    ):
        answer = told.client.get(f"{BASE}/vs_1", headers=wrong)  # type: ignore[arg-type]
        assert error_of(answer, 401)["type"] == "authentication_error"
    assert len(recorder.asked) == asked


def test_a_reference_is_read_for_the_account_that_the_header_names(
    backend: Backend, reference: str
) -> None:
    params = {"type": "document", "client_reference_id": reference}
    named = {"Stripe-Account": "acct_1"}
    made = backend.post("", params, named).json()
    path = f"/v1/references/{reference}"
    told = backend.client.get(path, headers=BEARER | named).json()
    assert (told["account"], told["standing"]["session_id"]) == ("acct_1", made["id"])
    assert backend.client.get(path, headers=BEARER).status_code == 404
    same = backend.client.get(path + "?account=acct_1", headers=BEARER | named)
    assert same.status_code == 200
    other = backend.client.get(path + "?account=acct_2", headers=BEARER | named)
    assert error_of(other, 400)["param"] == "account"


@pytest.mark.parametrize("path", ["acct_context", "acct_platform/acct_below"])
def test_an_account_may_be_named_by_stripe_context(
    backend: Backend, reference: str, path: str
) -> None:
    params = {"type": "document", "client_reference_id": reference}
    named = {"Stripe-Context": path}
    made = backend.post("", params, named).json()
    told = backend.client.get(f"/v1/references/{reference}", headers=BEARER | named).json()
    assert (told["account"], told["standing"]["session_id"]) == (path, made["id"])
    both = backend.get(
        "", f"client_reference_id={reference}", **named, **{"Stripe-Account": "acct_2"}
    )
    assert "two accounts" in error_of(both, 400)["message"]
