"""A request has one id: in its answer, and in each line that is logged for it."""

from __future__ import annotations

import json
import re

import pytest
from starlette.testclient import TestClient
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from tests.web.deliveries import URL, event, signed
from tests.web.processes import Web, read_answer, request

OURS = re.compile(r"req_[0-9a-f]{14}\Z")
USABLE = ["req_1", "7f0c9a4e-3b1d-4b57-9d43-3c0c7b0d5c7e", "Root=1-67891233:a/b+c", "x" * 128]
UNUSABLE = ["", "a b", "a\tb", "é", "a;b", "<b>", "x" * 129, '{"a":1}']


def refused(client: TestClient, headers: dict[str, str]) -> tuple[str, str, str]:
    """The id of a delivery that is refused: in both headers of its answer, and in its line."""
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    with capture_logs(processors=[merge_contextvars]) as lines:
        answer = client.post(URL, content=b"{}", headers=encoded)
    # Beside it, the process may be telling of its start.
    (line,) = [line for line in lines if line["event"] == "delivery refused"]
    assert answer.status_code == 400
    return answer.headers["x-request-id"], answer.headers["request-id"], line["request_id"]


@pytest.mark.parametrize("header", ["X-Request-ID", "Request-Id"])
@pytest.mark.parametrize("given", USABLE)
def test_the_id_that_a_caller_gives_is_taken(client: TestClient, header: str, given: str) -> None:
    assert set(refused(client, {header: given})) == {given}


def test_a_routers_id_goes_before_the_callers(client: TestClient) -> None:
    headers = {"Request-Id": "req_caller", "X-Request-ID": "router"}
    assert set(refused(client, headers)) == {"router"}


@pytest.mark.parametrize("given", UNUSABLE)
def test_what_cannot_be_an_id_is_not_taken(client: TestClient, given: str) -> None:
    (id,) = set(refused(client, {"X-Request-ID": given}))
    assert OURS.match(id)


def test_what_cannot_be_an_id_leaves_room_for_the_other_header(client: TestClient) -> None:
    headers = {"X-Request-ID": "a b", "Request-Id": "req_caller"}
    assert set(refused(client, headers)) == {"req_caller"}


def test_a_request_without_an_id_is_given_one_of_its_own(client: TestClient) -> None:
    ids = [refused(client, {}) for _ in range(2)]
    assert all(len(set(of_one)) == 1 and OURS.match(of_one[0]) for of_one in ids)
    assert ids[0] != ids[1]


def test_a_delivery_that_is_taken_has_no_id_even_behind_a_request_that_has_one(web: Web) -> None:
    body = event("evt_behind")
    headers = [*signed(body).items(), ("X-Request-ID", "req_of-the-delivery")]
    before = request("GET", "/healthz", b"", ("X-Request-ID", "req_before"))
    with web.connect() as connection:
        connection.sendall(before + request("POST", URL, body, *headers))
        first, second = read_answer(connection), read_answer(connection)
    assert first.headers["x-request-id"] == "req_before"
    assert json.loads(second.body) == {"outcome": "enqueued"}
    assert not {"x-request-id", "request-id"} & set(second.headers)
    lines = [json.loads(line) for line in web.log.read_text().splitlines()]
    (taken,) = [line for line in lines if line.get("event_id") == "evt_behind"]
    assert "request_id" not in taken
