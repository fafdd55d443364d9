"""A server of a few lines that says what a test wants said: what no real one can be made to say."""

from __future__ import annotations

import select
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

Talk = Callable[[socket.socket], None]


@contextmanager
def stub_server(talk: Talk) -> Iterator[int]:
    """The port of a server that gives each connection to `talk`, in a thread, and closes it."""

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=run, args=(connection,), daemon=True).start()

    def run(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            talk(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def says(answer: bytes) -> Talk:
    """Answer whatever comes by this, every time."""

    def talk(connection: socket.socket) -> None:
        while connection.recv(65536):
            connection.sendall(answer)

    return talk


def says_in_turn(*answers: bytes) -> Talk:
    """Answer one message after the other by these, and close."""

    def talk(connection: socket.socket) -> None:
        for answer in answers:
            if connection.recv(65536):
                connection.sendall(answer)

    return talk


def silent(connection: socket.socket) -> None:
    """Take all and say nothing."""
    while connection.recv(65536):
        pass


def self_signed(folder: Path, name: str, subject: str = "test") -> tuple[Path, Path]:
    """A certificate that signs itself, for the host's name, and its key."""
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt"),
            *("ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "key.pem", "-out", "cert.pem"),
            *("-days", "2", "-subj", f"/CN={subject}", "-addext", f"subjectAltName=DNS:{name}"),
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return folder / "cert.pem", folder / "key.pem"


def tls_context(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    """What a server needs to show the certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


def leads_to(port: int, context: ssl.SSLContext) -> Talk:
    """Speak TLS before a server that does not, as our Valkey."""

    def talk(connection: socket.socket) -> None:
        with (
            context.wrap_socket(connection, server_side=True) as near,
            socket.create_connection(("127.0.0.1", port)) as far,
        ):
            while True:
                ready = [near] if near.pending() else select.select([near, far], [], [])[0]
                for one in ready:
                    part = one.recv(65536)
                    if not part:
                        return
                    (far if one is near else near).sendall(part)

    return talk


def speaks_tls(context: ssl.SSLContext, before: bytes = b"") -> Talk:
    """Shake hands by TLS and say nothing more; `before` answers a first message in clear."""

    def talk(connection: socket.socket) -> None:
        if before:
            connection.recv(65536)
            connection.sendall(before)
        with context.wrap_socket(connection, server_side=True) as wrapped:
            wrapped.recv(65536)

    return talk
