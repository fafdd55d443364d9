"""Stripe's errors, as the official client's own exceptions."""

from __future__ import annotations

import base64
import socket
import threading
from typing import Any
from urllib.parse import urlsplit

import pytest
import stripe

from tests.sandbox.processes import Sandbox
from tests.support.waiting import eventually

# One sandbox for all of them: they belong on one worker.
SESSIONS = "/v1/identity/verification_sessions"


@pytest.fixture
def sessions(client: stripe.StripeClient) -> Any:
    return client.v1.identity.verification_sessions


def header(error: stripe.StripeError, name: str) -> str | None:
    """A header of the answer; None if it has none of that name."""
    assert error.headers is not None
    return error.headers.get(name)


@pytest.mark.parametrize("key", ["sk_prod_1", "pk_test_1", "whatever", "sk_test_"])
def test_a_key_that_is_not_of_stripes_form_is_an_authentication_error(
    sandbox: Sandbox, key: str
) -> None:
    with pytest.raises(stripe.AuthenticationError) as error:
        sandbox.client(key).v1.events.list()
    assert (error.value.request_id or "").startswith("req_")


def test_a_missing_key_is_a_401_and_a_key_as_basic_username_is_let_in(sandbox: Sandbox) -> None:
    answer = sandbox.http.get("/v1/events")
    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "invalid_request_error"
    basic = base64.b64encode(b"sk_test_1:").decode()
    authorized = sandbox.http.get("/v1/events", headers={"Authorization": f"Basic {basic}"})
    assert authorized.status_code == 200


@pytest.mark.parametrize(
    ("given", "code", "param"),
    [
        ({}, "parameter_missing", "type"),
        ({"type": "face"}, None, "type"),
        ({"type": "document", "colour": "red"}, "parameter_unknown", "colour"),
        (
            {"type": "document", "options": {"document": {"colour": "red"}}},
            "parameter_unknown",
            "options[document][colour]",
        ),
        (
            {"type": "document", "options": {"document": {"allowed_types": ["visa"]}}},
            None,
            "options[document][allowed_types][0]",
        ),
        ({"type": "document", "client_reference_id": ""}, "parameter_invalid_empty", None),
        ({"type": "document", "return_url": "javascript:alert(1)"}, "url_invalid", "return_url"),
        ({"type": "document", "related_person": {"account": "a"}}, "parameter_missing", None),
        ({"type": "document", "expand": ["owner"]}, None, "expand"),
        ({"type": "document", "metadata": {"k" * 41: "v"}}, None, "metadata keys"),
        ({"type": "document", "metadata": {str(n): "v" for n in range(51)}}, None, "metadata"),
    ],
)
def test_bad_parameters_are_invalid_request_errors_that_name_them(
    sessions: Any, given: Any, code: str | None, param: str | None
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as error:
        sessions.create(given)
    assert error.value.http_status == 400
    assert error.value.code == code or code is None
    assert error.value.param == param or param is None


@pytest.mark.parametrize("limit", [0, 101, "many"])
def test_a_list_takes_a_limit_from_1_to_100(sessions: Any, limit: Any) -> None:
    with pytest.raises(stripe.InvalidRequestError) as error:
        sessions.list({"limit": limit})
    assert error.value.param == "limit"


@pytest.mark.parametrize("call", ["retrieve", "update", "cancel", "redact"])
def test_an_unknown_session_is_missing(sessions: Any, call: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as error:
        getattr(sessions, call)("vs_unknown")
    assert (error.value.http_status, error.value.code) == (404, "resource_missing")


def test_an_unknown_report_event_or_endpoint_is_missing(client: stripe.StripeClient) -> None:
    for resource in (
        client.v1.identity.verification_reports,
        client.v1.events,
        client.v1.webhook_endpoints,
    ):
        with pytest.raises(stripe.InvalidRequestError) as error:
            resource.retrieve("x_unknown")
        assert error.value.code == "resource_missing"


def test_a_path_that_the_sandbox_does_not_have_says_so(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="Unrecognized request URL"):
        client.v1.customers.list()


def test_the_same_idempotency_key_gives_the_stored_answer_again(sessions: Any) -> None:
    options: Any = {"idempotency_key": "create-1"}
    first = sessions.create({"type": "document"}, options)
    second = sessions.create({"type": "document"}, options)
    assert second.id == first.id
    assert second.last_response.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.last_response.headers


def test_an_idempotency_key_with_other_parameters_is_an_idempotency_error(sessions: Any) -> None:
    options: Any = {"idempotency_key": "create-2"}
    session = sessions.create({"type": "document"}, options)
    with pytest.raises(stripe.IdempotencyError):
        sessions.create({"type": "id_number"}, options)
    with pytest.raises(stripe.IdempotencyError):
        sessions.cancel(session.id, {}, options)


def test_an_idempotency_key_has_at_most_255_characters(sessions: Any) -> None:
    sessions.create({"type": "document"}, {"idempotency_key": "k" * 255})
    with pytest.raises(stripe.InvalidRequestError):
        sessions.create({"type": "document"}, {"idempotency_key": "k" * 256})


def test_refused_parameters_do_not_use_an_idempotency_key_up(sessions: Any) -> None:
    options: Any = {"idempotency_key": "create-3"}
    with pytest.raises(stripe.InvalidRequestError):
        sessions.create({"type": "face"}, options)
    assert sessions.create({"type": "document"}, options).id


def test_a_stored_500_is_given_again(sandbox: Sandbox, sessions: Any) -> None:
    sandbox.control("POST", "/faults", {"method": "POST", "path": SESSIONS, "status": 500})
    for replayed in (None, "true"):
        with pytest.raises(stripe.APIError) as error:
            sessions.create({"type": "document"}, {"idempotency_key": "create-4"})
        assert header(error.value, "idempotent-replayed") == replayed
    assert sandbox.control("GET", "/faults") == {"data": []}


def test_a_request_under_way_with_the_same_key_is_a_conflict(
    sandbox: Sandbox, sessions: Any
) -> None:
    sandbox.control("POST", "/faults", {"path": SESSIONS, "delay": 2.5})
    options: Any = {"idempotency_key": "create-5"}
    first: list[Any] = []
    thread = threading.Thread(
        target=lambda: first.append(sessions.create({"type": "document"}, options))
    )
    thread.start()
    eventually(lambda: sandbox.control("GET", "/faults") == {"data": []})
    with pytest.raises(stripe.APIError) as error:
        sandbox.client().v1.identity.verification_sessions.create({"type": "document"}, options)
    thread.join()
    assert error.value.http_status == 409
    assert first[0].id == sessions.create({"type": "document"}, options).id


def test_a_fault_happens_as_often_as_asked_and_only_to_what_it_names(
    sandbox: Sandbox, sessions: Any, client: stripe.StripeClient
) -> None:
    fault = {"method": "GET", "path": SESSIONS, "status": 503, "times": 2, "retry_after": 7}
    sandbox.control("POST", "/faults", fault)
    client.v1.events.list()
    session = sessions.create({"type": "document"})
    for _ in range(2):
        with pytest.raises(stripe.APIError) as error:
            sessions.retrieve(session.id)
        assert (error.value.http_status, header(error.value, "retry-after")) == (503, "7")
    assert sessions.retrieve(session.id).id == session.id


def test_a_429_is_a_rate_limit_error(sandbox: Sandbox, client: stripe.StripeClient) -> None:
    sandbox.control("POST", "/faults", {"path": "/v1/events", "status": 429, "retry_after": 1})
    with pytest.raises(stripe.RateLimitError) as error:
        client.v1.events.list()
    assert header(error.value, "retry-after") == "1"


def test_more_requests_than_the_limit_in_a_second_are_rate_limited(
    sandbox: Sandbox, client: stripe.StripeClient
) -> None:
    sandbox.control("POST", "/limits", {"per_second": 0})
    with pytest.raises(stripe.RateLimitError):
        client.v1.events.list()
    sandbox.control("POST", "/limits", {"per_second": None})
    client.v1.events.list()


@pytest.mark.parametrize(("hang_up", "made"), [(True, 0), ("after", 1)])
def test_a_hung_up_connection_is_a_connection_error(
    sandbox: Sandbox, sessions: Any, hang_up: Any, made: int
) -> None:
    reference = f"hang_up {hang_up}"
    sandbox.control("POST", "/faults", {"path": SESSIONS, "hang_up": hang_up})
    with pytest.raises(stripe.APIConnectionError):
        sessions.create({"type": "document", "client_reference_id": reference})
    assert len(sessions.list({"client_reference_id": reference}).data) == made


@pytest.mark.parametrize(
    ("path", "body", "word"),
    [
        ("/chaos", {"duplicates": 1}, "unknown field"),
        ("/chaos", {"duplicate": 1.5}, "duplicate"),
        ("/chaos", {"delay": [2, 1]}, "delay"),
        ("/chaos", {"second_secret": "x"}, "whsec_"),
        ("/faults", {"status": 200}, "status"),
        ("/faults", {}, "at least one"),
        ("/faults", {"hang_up": 1}, "hang_up"),
        ("/limits", {"per_second": "x"}, "per_second"),
        ("/clock", {"advance": "x"}, "advance"),
        ("/webhooks", {"enabled": 1}, "enabled"),
        ("/redaction", {"seconds": None}, "seconds"),
        ("/retries", {"initial": 0}, "initial"),
        ("/chaos", [1], "object"),
    ],
)
def test_control_refuses_what_it_cannot_take_in_one_line(
    sandbox: Sandbox, path: str, body: Any, word: str
) -> None:
    message = sandbox.control("POST", path, body, status=400)["error"]["message"]
    assert word in message
    assert "\n" not in message


def test_control_says_what_is_not_there(sandbox: Sandbox, sessions: Any) -> None:
    sandbox.control("POST", "/sessions/vs_x/submit", {"outcome": "verified"}, status=404)
    sandbox.control("POST", "/events/evt_x/resend", status=404)
    sandbox.control("GET", "/nothing", status=404)
    session = sessions.create({"type": "document"}).id
    for outcome in ("fine", None, ["verified"]):
        sandbox.control("POST", f"/sessions/{session}/submit", {"outcome": outcome}, status=400)
    review = {"status": "requires_input", "last_error": ["x"]}
    sandbox.control("POST", f"/sessions/{session}/review", review, status=400)


def test_malformed_json_is_a_400_and_too_much_of_it_a_413(sandbox: Sandbox) -> None:
    for content, status in (
        (b"{", 400),
        (b"[" * 100_000, 400),
        (b"\xff", 400),
        (b" " * 1_000_001, 413),
    ):
        answer = sandbox.http.post("/_sandbox/chaos", content=content)
        assert answer.status_code == status
        assert answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "form",
    [
        b"type=document&\xff=1",
        b"type=%ff",
        b"[x]=1",
        b"a[b=1",
        b"a=1&a[b]=2",
        b"a[b]=1&a=2",
        b"options[document][allowed_types][x]=passport",
        b"options[document]=1",
        b"options[document][require_live_capture]=yes",
        b"a" + b"[b]" * 50 + b"=1",
        b"&".join(b"k%d=1" % n for n in range(2000)),
        b'{"type": "document"}',
    ],
)
def test_no_form_makes_the_sandbox_stumble(sandbox: Sandbox, form: bytes) -> None:
    answer = sandbox.http.post(
        SESSIONS,
        content=form,
        headers={
            "Authorization": "Bearer sk_test_1",
            "Content-Type": "application/x-www-form-urlencoded",
        },
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_an_unreadable_host_header_is_refused(sandbox: Sandbox) -> None:
    address = urlsplit(sandbox.url)
    for path in ("/v1/events", "/_sandbox/nothing"):
        with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
            request = f"GET {path} HTTP/1.1\r\nHost: [x\r\nConnection: close\r\n\r\n"
            connection.sendall(request.encode())
            assert connection.recv(65_536).split()[1] == b"421"
