"""What Stripe refuses or fails at, and who may ask at all."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from redis import Redis

from app.local.valkey import free_port
from tests.sandbox.processes import Sandbox
from tests.support.events import session_body
from tests.web.sessions.conftest import (
    AT_STRIPE,
    BASE,
    BEARER,
    Backend,
    Recorder,
    error_of,
    opened_backend,
)

PLANTED = "PLANTED-VALUE"
CALLS = [
    ("POST", ""),
    ("GET", ""),
    ("GET", "/vs_1"),
    ("POST", "/vs_1"),
    ("POST", "/vs_1/cancel"),
    ("POST", "/vs_1/redact"),
]


def call(backend: Backend, method: str, path: str, reference: str = "user-x") -> httpx2.Response:
    if method == "GET":
        return backend.get(path)
    return backend.create(reference) if not path else backend.post(path)


@pytest.mark.parametrize("status", [400, 402, 403, 404, 409, 429, 500, 502, 503])
def test_stripes_error_is_passed_on_with_its_status(
    told: Backend, recorder: Recorder, status: int
) -> None:
    error = {"type": "a_type", "code": "a_code", "param": "a[b]", "message": "It is so."}
    recorder.status = status
    recorder.body = json.dumps({"error": error | {"doc_url": "x", "request_log_url": "y"}})
    for method, path in CALLS:
        assert error_of(call(told, method, path), status) == error


def test_a_refused_key_is_our_fault_and_not_the_callers(told: Backend, recorder: Recorder) -> None:
    recorder.status = 401
    recorder.body = json.dumps({"error": {"type": "x", "message": f"Invalid key: {PLANTED}"}})
    for method, path in CALLS:
        answer = call(told, method, path)
        assert error_of(answer, 503)["type"] == "api_error"
        assert PLANTED not in answer.text


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, f"<html>{PLANTED}</html>"),
        (200, "[]"),
        (200, '{"id": "vs 1 ' + PLANTED + '"}'),
        (204, ""),
        (304, ""),
        (502, f"<html>{PLANTED}</html>"),
        (500, '{"error": "' + PLANTED + '"}'),
        (400, '{"error": "the type of ' + PLANTED + '"}'),
        (400, "{}"),
        (400, '{"error": {"type": "x"}}'),
        (400, '{"error": {"type": {"a": 1}, "message": 17, "param": null}}'),
    ],
)
def test_an_answer_that_is_not_stripes_is_an_error_of_our_shape(
    told: Backend, recorder: Recorder, status: int, body: str
) -> None:
    recorder.status, recorder.body = status, body
    for method, path in CALLS:
        answer = call(told, method, path)
        # A status that says that all is well says nothing of an answer that cannot be read.
        assert answer.status_code in {503, status} - {200, 204, 304}, answer.text
        error = error_of(answer, answer.status_code)
        assert all(isinstance(value, str) for value in error.values())
        assert PLANTED not in answer.text


def test_an_answer_that_is_not_as_documented_is_not_taken_for_a_delivery(
    told: Backend, recorder: Recorder
) -> None:
    recorder.body = json.dumps(session_body("vs 1", reference="user-1"))
    answer = told.get("/vs_1")
    error = error_of(answer, 503)
    assert (error["type"], error["message"]) == ("api_error", "Stripe's answer cannot be read")
    assert int(answer.headers["retry-after"]) > 0


def test_stripe_being_away_is_503_with_a_time_to_try_again(
    environment: dict[str, str], sandbox: Sandbox, redis: Redis
) -> None:
    away = {"STRIPE_API_BASE": f"http://127.0.0.1:{free_port()}"}
    with opened_backend(environment | away, sandbox) as backend:
        for method, path in CALLS:
            answer = call(backend, method, path)
            assert error_of(answer, 503)["type"] == "api_error"
            assert int(answer.headers["retry-after"]) > 0


def test_without_an_api_key_it_is_503(
    environment: dict[str, str], sandbox: Sandbox, redis: Redis
) -> None:
    with opened_backend(environment | {"STRIPE_API_KEY": ""}, sandbox) as backend:
        for method, path in CALLS:
            assert "STRIPE_API_KEY" in error_of(call(backend, method, path), 503)["message"]


@pytest.mark.parametrize("given", ["", "Bearer wrong", "Basic eDp5"])
def test_no_token_is_401_and_stripe_is_not_asked(
    told: Backend, recorder: Recorder, given: str
) -> None:
    for method, path in CALLS:
        answer = told.client.request(method, BASE + path, headers={"Authorization": given})
        assert error_of(answer, 401)["type"] == "authentication_error"
        assert answer.headers["www-authenticate"] == "Bearer"
    assert recorder.asked == []


def test_a_limit_of_stripes_is_429_and_says_when_to_come_back(
    backend: Backend, sandbox: Sandbox, reference: str
) -> None:
    sandbox.control("POST", "/faults", {"path": AT_STRIPE, "status": 429, "retry_after": 7})
    answer = backend.create(reference)
    assert error_of(answer, 429)["code"] == "rate_limit"
    assert answer.headers["retry-after"] == "7"


@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_no_answer_is_kept_by_caches(told: Backend, recorder: Recorder, status: int) -> None:
    recorder.status = status
    for method, path in CALLS:
        if (method, path) == ("GET", "") and status == 200:
            recorder.body = '{"object": "list", "data": [], "has_more": false, "url": "x"}'
            assert told.get().headers["cache-control"] == "no-store"
        else:
            recorder.body = json.dumps(session_body("vs_1", reference="user-1"))
            assert call(told, method, path).headers["cache-control"] == "no-store"


def test_what_stripe_says_of_a_person_is_in_no_line_of_ours(
    told: Backend, recorder: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder.status = 400
    recorder.body = json.dumps({"error": {"type": "x", "code": "y", "message": PLANTED}})
    for method, path in CALLS:
        assert PLANTED in call(told, method, path).text
    output = capsys.readouterr()
    assert "Stripe did not do it" in output.out + output.err
    assert PLANTED not in output.out + output.err


@pytest.mark.parametrize("account", ["acct 1", "acct.1", "é", "x" * 256])
def test_an_account_that_is_none_is_400(told: Backend, recorder: Recorder, account: str) -> None:
    headers: dict[str, Any] = {**BEARER, "Stripe-Account": account.encode("latin-1")}
    for method, path in CALLS:
        body = None if path else {"type": "document", "client_reference_id": "u"}
        answer = told.client.request(method, BASE + path, json=body, headers=headers)
        assert "Stripe-Account" in error_of(answer, 400)["message"]
    assert recorder.asked == []
