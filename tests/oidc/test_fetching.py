"""Answers that have no end, no form, or lead elsewhere."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from app.oidc import fetching
from app.oidc.errors import ProviderAway, ProviderUnusable
from app.oidc.fetching import MAX_ANSWER, get_json
from tests.support.stub_server import Talk, says, self_signed, stub_server, tls_context

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def ask(talk: Talk) -> object:
    with stub_server(talk) as port:
        return get_json(f"http://127.0.0.1:{port}/x", "its keys", bearer="PLANTED")


def with_body(body: bytes, head: bytes = HEAD) -> Talk:
    return says(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)


def test_an_object_is_read() -> None:
    assert ask(with_body(b'{"keys": []}')) == {"keys": []}


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"<html>", b"\xff", b"[" * 100_000])
def test_what_is_no_object_is_not_taken(body: bytes) -> None:
    with pytest.raises(ProviderUnusable, match="without JSON when asked for its keys"):
        ask(with_body(body))


def test_an_answer_without_end_is_cut_off() -> None:
    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(HEAD + b"\r\n")
        for _ in range(2 * MAX_ANSWER // 65536 + 1):
            connection.sendall(b" " * 65536)

    with pytest.raises(ProviderUnusable, match="too long"):
        ask(talk)


def test_an_answer_that_comes_byte_by_byte_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "WHOLE", 0.1)

    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(HEAD + b"\r\n")
        for _ in range(200):
            connection.sendall(b" ")
            time.sleep(0.02)

    began = time.monotonic()
    with pytest.raises(ProviderAway, match="too slow"):
        ask(talk)
    assert time.monotonic() - began < 2


def test_who_says_nothing_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "TIMEOUT", (1.0, 0.05))
    with pytest.raises(ProviderAway, match="ReadTimeout"):
        ask(lambda connection: time.sleep(0.3))


def test_no_redirect_is_followed() -> None:
    for status in (301, 302, 307, 308):
        head = b"HTTP/1.1 %d X\r\nLocation: http://127.0.0.1:9/\r\n" % status
        with pytest.raises(ProviderUnusable, match=str(status)):
            ask(with_body(b"{}", head))


def test_a_netrc_does_not_take_the_tokens_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        seen.append(connection.recv(65536))
        connection.sendall(HEAD + b"Content-Length: 2\r\n\r\n{}")

    (tmp_path / "netrc").write_text("machine 127.0.0.1 login eve password eve\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    ask(talk)
    assert b"Authorization: Bearer PLANTED" in seen[0]


def test_a_certificate_has_to_be_of_a_known_authority(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    certificate = self_signed(tmp_path, "localhost")
    context = tls_context(certificate)

    def talk(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as wrapped:
            wrapped.recv(65536)
            wrapped.sendall(HEAD + b"Content-Length: 2\r\n\r\n{}")

    with stub_server(talk) as port:
        with pytest.raises(ProviderAway, match="SSLError"):
            get_json(f"https://localhost:{port}/", "its keys")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
        assert get_json(f"https://localhost:{port}/", "its keys") == {}
