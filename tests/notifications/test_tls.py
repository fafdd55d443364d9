"""Callbacks over https: the certificate has to be good, and the name's."""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import Secret

from app.notifications.addresses import ReceiverUnavailable
from app.notifications.callback import Callback
from tests.notifications.receiver import CHANGED, SECRET, receiving

NAME = "hook.example"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate that signs itself, for the name, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt"),
            *("ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "key.pem", "-out", "cert.pem"),
            *("-days", "2", "-subj", "/CN=test", "-addext", f"subjectAltName=DNS:{NAME}"),
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
def serving(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name is this host."""

    def look_up(host: str, port: int, *_: Any, **__: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def callback_to(host: str, port: int) -> Callback:
    return Callback(f"https://{host}:{port}/", [Secret(SECRET)], True, time.time)


def test_a_certificate_that_signs_itself_is_refused(serving: ssl.SSLContext) -> None:
    with receiving(tls=serving) as receiver, pytest.raises(ReceiverUnavailable, match="SSLError"):
        callback_to(NAME, receiver.port).send(CHANGED)
    assert receiver.requests == []


def test_a_trusted_certificate_of_the_name_is_accepted_though_we_connect_to_the_address(
    serving: ssl.SSLContext, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with receiving(tls=serving) as receiver:
        sending = callback_to(NAME, receiver.port)
        sending.send(CHANGED)
        sending.send(CHANGED)
    assert len(receiver.accepted) == 2


def test_a_trusted_certificate_of_another_name_is_refused(
    serving: ssl.SSLContext, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with receiving(tls=serving) as receiver:
        callback_to(NAME, receiver.port).send(CHANGED)
        with pytest.raises(ReceiverUnavailable, match="SSLError"):
            callback_to("other.example", receiver.port).send(CHANGED)
    assert len(receiver.requests) == 1


def test_an_address_without_a_name_needs_a_certificate_of_the_address(
    serving: ssl.SSLContext, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with receiving(tls=serving) as receiver, pytest.raises(ReceiverUnavailable, match="SSLError"):
        callback_to("127.0.0.1", receiver.port).send(CHANGED)
