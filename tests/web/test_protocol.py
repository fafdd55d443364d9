"""How much of a request beside its body the server takes, and what it says to more than that."""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import repeat
from pathlib import Path

import pytest
from redis import Redis

from app.web.protocol import MAX_AHEAD, MAX_HEAD, MAX_HEADERS, MAX_PARTS, MAX_URL
from tests.web.deliveries import URL, event, signed
from tests.web.processes import Web, read_answer, request

# Sent before the server is expected to have closed the connection; buffers of both sides fit in.
MANY_MEGABYTES = 40 * 2**20
HEAD = b"POST %s HTTP/1.1\r\nHost: x\r\n" % URL.encode()
# NOW is filled in: of any other time, the body would not be read at all.
CHUNKED = HEAD + b"Stripe-Signature: t=NOW,v1=a\r\nTransfer-Encoding: chunked\r\n\r\n"
ENDLESS: dict[str, tuple[bytes, bytes]] = {
    "empty lines": (b"", b"\r\n" * 500),
    "a method": (b"", b"A" * 1_000),
    "a URL": (b"GET /", b"a" * 1_000),
    "a query": (b"GET /?", b"a=b&" * 250),
    "a header's name": (HEAD, b"a" * 1_000),
    "a header's value": (HEAD + b"a: ", b"a" * 1_000),
    "headers": (HEAD, b"a: b\r\n" * 100),
    "chunk extensions": (CHUNKED + b"1;", b"a=b;" * 250),
    "small chunks": (CHUNKED, b"1;a=bcdefgh\r\na\r\n" * 60),
    "trailers": (CHUNKED + b"0\r\n", b"a: b\r\n" * 100),
    "a trailer's value": (CHUNKED + b"0\r\na: ", b"a" * 1_000),
}


def resident(web: Web) -> int:
    """Bytes of memory of the process."""
    fields = Path(f"/proc/{web.process.pid}/statm").read_text().split()
    return int(fields[1]) * 4_096


def send_until_closed(connection: socket.socket, parts: Iterator[bytes]) -> int:
    """How many bytes went out until the server answered or closed the connection."""
    sent = 0
    for part in parts:
        if select.select([connection], [], [], 0)[0]:
            break
        assert sent < MANY_MEGABYTES, "the server reads on"
        try:
            connection.sendall(part)
        except ConnectionError:
            break
        sent += len(part)
    return sent


@pytest.mark.parametrize(("begin", "more"), ENDLESS.values(), ids=ENDLESS.keys())
def test_what_has_no_end_is_cut_off(web: Web, begin: bytes, more: bytes) -> None:
    before = resident(web)
    with web.connect() as connection:
        connection.sendall(begin.replace(b"NOW", b"%d" % time.time()))
        send_until_closed(connection, repeat(more))
        told = b""
        with suppress(ConnectionError):  # what it has not read resets the connection
            told = connection.recv(100)
        assert not told or told.startswith(b"HTTP/1.1 400 ")
    assert resident(web) - before < 8 * 2**20


def delivery_in_chunks(body: bytes, size: int) -> bytes:
    """A delivery whose chunks have so many bytes each."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    told = (*signed(body).items(), ("Transfer-Encoding", "chunked"))
    return request("POST", URL, chunks + b"0\r\n\r\n", *told)


def test_small_chunks_of_a_large_body_count_by_their_lines_alone(web: Web) -> None:
    sent = delivery_in_chunks(b" " * 300_000 + event(), 100)
    assert len(sent) - 300_000 < MAX_HEAD
    assert json.loads(web.exchange(sent).body) == {"outcome": "enqueued"}


def test_tiny_chunks_are_refused_long_before_their_bytes_are_many(web: Web) -> None:
    answer = web.exchange(delivery_in_chunks(event() + b" " * MAX_PARTS, 1))
    assert (answer.status, answer.body) == (400, b"the body comes in too many parts")


@pytest.mark.parametrize(
    "told",
    [
        (("Transfer-Encoding", "chunked"), ("Content-Length", "5")),
        (("Content-Length", "5"), ("Transfer-Encoding", "chunked")),
        (("Transfer-Encoding", "gzip, chunked"),),
        (("Transfer-Encoding", "gzip"), ("Transfer-Encoding", "chunked")),
        (("Transfer-Encoding", "identity"),),
        (("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "identity")),
    ],
)
def test_a_body_whose_end_others_may_see_elsewhere_is_400(
    web: Web, told: tuple[tuple[str, str], ...]
) -> None:
    chunks = b"5\r\nhello\r\n0\r\n\r\n"
    with web.connect() as connection:
        connection.sendall(request("GET", "/healthz", chunks, *told))
        answer = read_answer(connection)
        assert (answer.status, answer.headers["connection"]) == (400, "close")


def test_chunks_in_http_1_0_are_400(web: Web) -> None:
    asked = request("GET", "/healthz", b"0\r\n\r\n", ("Transfer-Encoding", "chunked"))
    assert web.exchange(asked.replace(b"HTTP/1.1", b"HTTP/1.0")).status == 400


def headers(count: int) -> Callable[[], bytes]:
    """A request of so many headers."""
    return lambda: request("GET", "/healthz", b"", *[("a", "b")] * (count - 1))


@pytest.mark.parametrize(
    ("sent", "status", "said"),
    [
        (lambda: request("GET", "/" + "a" * (MAX_URL - 1)), 404, b""),
        (lambda: request("GET", "/" + "a" * MAX_URL), 400, b"URL too long"),
        (headers(MAX_HEADERS), 200, b""),
        (headers(MAX_HEADERS + 1), 400, b"too many headers"),
        (lambda: request("GET", "/healthz", b"", ("a", "b" * (MAX_HEAD - 200))), 200, b""),
        (lambda: request("GET", "/healthz", b"", ("a", "b" * MAX_HEAD)), 400, b"head too large"),
        (lambda: b"GET /healthz HTTP/1.1\r\n\r\n", 400, b"there has to be one Host header"),
        (lambda: b"GET /healthz HTTP/1.0\r\n\r\n", 200, b""),
        (lambda: request("GET", "/healthz", b"", ("Host", "y")), 400, b"one Host header"),
    ],
    ids=lambda value: None if callable(value) else str(value),
)
def test_the_limits_of_a_head(
    web: Web, sent: Callable[[], bytes], status: int, said: bytes
) -> None:
    answer = web.exchange(sent())
    assert answer.status == status
    assert said in answer.body


def test_a_trailer_is_not_a_header(web: Web) -> None:
    body = event()
    [(name, value)] = signed(body).items()
    chunks = b"%x\r\n%b\r\n0\r\n%b: %b\r\n\r\n" % (
        len(body),
        body,
        name.encode(),
        value.encode(),
    )
    answer = web.exchange(request("POST", URL, chunks, ("Transfer-Encoding", "chunked")))
    assert answer.status == 400


def all_answers(web: Web, sent: bytes) -> bytes:
    """All that the server says until it closes the connection."""
    with web.connect() as connection, connection.makefile("rb") as answers:
        connection.sendall(sent)
        return answers.read()


def test_requests_may_be_sent_ahead(web: Web, redis: Redis) -> None:
    bodies = [event(f"evt_{number}") for number in range(MAX_AHEAD)]
    sent = b"".join(request("POST", URL, body, *signed(body).items()) for body in bodies)
    told = all_answers(web, sent + request("GET", "/healthz", b"", ("Connection", "close")))
    assert told.count(b'{"outcome":"enqueued"}') == MAX_AHEAD
    assert told.endswith(b'{"status":"ok"}')
    assert redis.llen("rq:queue:identity-events") == MAX_AHEAD


def test_of_too_many_requests_ahead_the_first_are_answered(web: Web) -> None:
    told = all_answers(web, request("GET", "/healthz") * 10 * MAX_AHEAD)
    assert told.count(b"HTTP/1.1 ") == told.count(b"HTTP/1.1 200 OK") == MAX_AHEAD + 1
    assert told.count(b"connection: close") == 1


def test_what_comes_whole_is_answered_before_garbage_ends_the_connection(web: Web) -> None:
    body = event()
    with web.connect() as connection:
        connection.sendall(request("POST", URL, body, *signed(body).items()) + b"\0garbage\r\n\r\n")
        answer = read_answer(connection)
        assert json.loads(answer.body) == {"outcome": "enqueued"}
        assert answer.headers["connection"] == "close"
        assert connection.recv(1) == b""


def test_a_request_that_offers_an_upgrade_is_answered(web: Web) -> None:
    body = event()
    told = (*signed(body).items(), ("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"))
    with web.connect() as connection:
        for outcome in ("enqueued", "duplicate"):
            connection.sendall(request("POST", URL, body, *told))
            assert json.loads(read_answer(connection).body) == {"outcome": outcome}


def test_an_answer_has_the_headers_that_others_have(web: Web) -> None:
    body = event()
    delivered = web.exchange(request("POST", URL, body, *signed(body).items()))
    other = web.exchange(request("GET", "/healthz"))
    # Nobody asks about a delivery that was taken, so none pays for an id.
    assert delivered.headers.keys() | {"request-id", "x-request-id"} == other.headers.keys()
    assert delivered.headers["content-type"] == other.headers["content-type"]
    closing = web.exchange(
        request("POST", URL, body, *signed(body).items(), ("Connection", "close"))
    )
    assert closing.headers["connection"] == "close"
