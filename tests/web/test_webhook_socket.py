"""What only a socket shows: how far the server reads, and what malformed requests do to it."""

from __future__ import annotations

import json
import select
import socket
import time
from contextlib import suppress
from urllib.parse import quote

import pytest
from redis import Redis

from app.ledger.engine import open_engine
from app.ledger.ledger import Ledger
from app.web.webhooks import MAX_BODY
from tests.support.ledger import NOW, POLICY, observation
from tests.web.conftest import TOKEN
from tests.web.deliveries import SECRET, URL, event, header, signed
from tests.web.processes import Answer, Web, read_answer, request

# One server for all of them.
CHUNK = b"10000\r\n" + b" " * 0x10000 + b"\r\n"


def delivery(body: bytes, *headers: tuple[str, str]) -> bytes:
    return request("POST", URL, body, *signed(body).items(), *headers)


def assert_error(answer: Answer, status: int) -> None:
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/json"
    assert set(json.loads(answer.body)["error"]) == {"type", "message"}


def assert_closed(connection: socket.socket) -> None:
    """The server has closed it: sending on fails, or there is nothing more to read."""
    with suppress(ConnectionError):
        assert connection.recv(1) == b""


def send_many_megabytes(connection: socket.socket) -> None:
    """Raises ConnectionError if the server does not read them."""
    for _ in range(1_000):
        connection.sendall(CHUNK)


def test_a_delivery_over_a_socket_is_enqueued(web: Web, redis: Redis) -> None:
    answer = web.exchange(delivery(event()))
    assert (answer.status, json.loads(answer.body)) == (200, {"outcome": "enqueued"})
    assert redis.llen("rq:queue:identity-events") == 1


def test_a_delivery_in_chunks_is_enqueued(web: Web) -> None:
    body = event()
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:90], body[90:]))
    told = (*signed(body).items(), ("Transfer-Encoding", "chunked"))
    answer = web.exchange(request("POST", URL, chunks + b"0\r\n\r\n", *told))
    assert json.loads(answer.body) == {"outcome": "enqueued"}


def test_a_connection_serves_several_deliveries(web: Web) -> None:
    with web.connect() as connection:
        for number in range(3):
            connection.sendall(delivery(event(f"evt_{number}")))
            assert read_answer(connection).status == 200


def test_an_announced_body_over_the_limit_is_not_read(web: Web) -> None:
    told = (*signed(b"").items(), ("Content-Length", str(MAX_BODY + 1)))
    with web.connect() as connection:
        connection.sendall(request("POST", URL, b"", *told))
        assert_error(read_answer(connection), 413)
        assert_closed(connection)


def test_of_a_body_without_end_no_more_than_the_limit_is_read(web: Web) -> None:
    told = (*signed(b"").items(), ("Transfer-Encoding", "chunked"))
    sent = 0
    with web.connect() as connection:
        connection.sendall(request("POST", URL, b"", *told))
        while not select.select([connection], [], [], 0.02)[0]:
            connection.sendall(CHUNK)
            sent += len(CHUNK)
            assert sent < 100 * MAX_BODY, "the server reads on"
        assert_error(read_answer(connection), 413)
        with pytest.raises(ConnectionError):
            send_many_megabytes(connection)


@pytest.mark.parametrize("digits", ["0" * 30 + str(MAX_BODY + 1), "9" * 18])
def test_an_odd_content_length_over_the_limit_is_413(web: Web, digits: str) -> None:
    told = (*signed(b"").items(), ("Content-Length", digits))
    with web.connect() as connection:
        connection.sendall(request("POST", URL, b"", *told))
        assert read_answer(connection).status in (400, 413)


@pytest.mark.parametrize("length", ["-1", "1e3", "9" * 40, "x", "5, 5"])
def test_a_content_length_that_is_none_is_400(web: Web, length: str) -> None:
    told = (*signed(b"").items(), ("Content-Length", length))
    assert web.exchange(request("POST", URL, b"hello", *told)).status == 400


def test_a_content_length_under_the_bodys_is_400(web: Web) -> None:
    body = event()
    told = (*signed(body).items(), ("Content-Length", str(len(body) - 9)))
    assert web.exchange(request("POST", URL, body, *told)).status == 400


def test_a_sender_who_hangs_up_in_the_body_harms_nobody(web: Web, redis: Redis) -> None:
    body = event()
    told = (*signed(body).items(), ("Content-Length", str(len(body) + 9)))
    for _ in range(5):
        with web.connect() as connection:
            connection.sendall(request("POST", URL, body, *told))
    assert web.exchange(delivery(event("evt_2"))).status == 200
    assert redis.llen("rq:queue:identity-events") == 1


@pytest.mark.parametrize(
    "told",
    [(), (("Stripe-Signature", "v1=a"),), tuple(signed(b"", at=time.time() - 900).items())],
    ids=["absent", "without time", "stale"],
)
def test_a_signature_header_that_cannot_be_right_is_400_before_the_body_comes(
    web: Web, told: tuple[tuple[str, str], ...]
) -> None:
    with web.connect() as connection:
        connection.sendall(request("POST", URL, b"", *told, ("Content-Length", "1000")))
        assert_error(read_answer(connection), 400)


def test_a_doubled_signature_header_is_400(web: Web) -> None:
    body = event()
    assert_error(web.exchange(delivery(body, *signed(body).items())), 400)


def test_a_header_of_60_kb_is_400(web: Web) -> None:
    told = ("Stripe-Signature", header(b"") + ",v1=" + "a" * 60_000)
    assert_error(web.exchange(request("POST", URL, event(), told)), 400)


@pytest.mark.parametrize(
    "target",
    ["*", "http://[", "//", "/%", "/%ff", "/\xe9", "/v1/references/\xe9", "/\x80?\xff", "?", "/?%"],
)
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_an_odd_target_is_4xx(web: Web, method: str, target: str) -> None:
    assert 400 <= web.exchange(request(method, target)).status < 500


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n\r\n\r\nGARBAGE\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT identity.test:443 HTTP/1.1\r\n\r\n",
    ],
    ids=["garbage", "TLS", "HTTP/2", "CONNECT"],
)
def test_what_is_not_http_is_400(web: Web, sent: bytes) -> None:
    assert web.exchange(sent).status in (400, 404)


def test_an_upgrade_is_not_taken(web: Web) -> None:
    told = (("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Key", "eA=="))
    assert 400 <= web.exchange(request("GET", URL, b"", *told)).status < 500


def test_the_servers_name_is_not_sent(web: Web) -> None:
    assert "server" not in web.exchange(request("GET", "/healthz")).headers


def test_a_reference_of_20_000_percent_encoded_bytes_is_looked_up(web: Web) -> None:
    path = "/v1/references/" + "%F0%9F%98%80" * 5_000
    answer = web.exchange(request("GET", path, b"", ("Authorization", f"Bearer {TOKEN}")))
    assert answer.status == 404
    assert json.loads(answer.body)["error"]["param"] == "client_reference_id"


@pytest.mark.parametrize("reference", ["a%2Fb", "..", "a/../b", "./a", "//host/a", "%2e"])
def test_a_reference_is_decoded_once_and_not_tidied(web: Web, reference: str) -> None:
    engine = open_engine(f"sqlite:///{web.log.parent / 'ledger.db'}")
    seen = observation(
        "verified", 100, session=f"vs_{reference.encode().hex()}", reference=reference
    )
    Ledger(engine).apply([seen], policy=POLICY, now=NOW)
    engine.dispose()
    for path in {quote(reference, safe=""), quote(reference, safe="/")}:
        asked = request("GET", f"/v1/references/{path}", b"", ("Authorization", f"Bearer {TOKEN}"))
        assert json.loads(web.exchange(asked).body)["client_reference_id"] == reference


def test_a_slow_sender_does_not_hold_up_the_others(web: Web) -> None:
    body = event("evt_slow")
    slow = delivery(body)
    with web.connect() as connection:
        connection.sendall(slow[:-9])
        began = time.monotonic()
        for number in range(5):
            assert web.exchange(delivery(event(f"evt_{number}"))).status == 200
        assert time.monotonic() - began < 5
        connection.sendall(slow[-9:])
        assert json.loads(read_answer(connection).body) == {"outcome": "enqueued"}


def test_the_log_has_ids_and_outcomes_as_json_and_no_secret(web: Web) -> None:
    web.exchange(delivery(event("evt_logged")))
    web.exchange(request("POST", URL, event("evt_logged")))
    log = web.log.read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    assert any(line.get("event_id") == "evt_logged" for line in lines)
    assert any(line.get("status") == 400 and line["level"] == "warning" for line in lines)
    assert SECRET not in log


def test_a_head_of_many_megabytes_is_not_read(web: Web) -> None:
    with web.connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: ")
        with pytest.raises(ConnectionError):
            send_many_megabytes(connection)
