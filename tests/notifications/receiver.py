"""The team's end of a callback: it verifies with the official package, and behaves as set."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from app.domain.standing import Standing
from app.notifications.message import ReferenceChanged

SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD_SECRET = "whsec_" + "C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
CHANGED = ReferenceChanged(
    client_reference_id="user-1",
    account="acct_1",
    livemode=False,
    standing=Standing(
        status="verified",
        session_id="vs_1",
        since=100,
        verified_at=100,
        attempts=1,
        last_error_code=None,
        next_step="none",
        redaction=None,
        type="document",
        options='{"document":{"require_matching_selfie":true}}',
        version=3,
    ),
    previous_status="processing",
    id="msg_abc_3",
)


class Delivery(BaseHTTPRequestHandler):
    """One request; its answer is the receiver's next behaviour."""

    protocol_version = "HTTP/1.1"
    server: Receiving
    left = False

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        self.body = self.rfile.read(length)
        self.left = False
        self.server.owner.take(self)

    def do_GET(self) -> None:
        self.server.owner.followed = True
        self.answer(200)

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """A whole answer."""
        self.leave()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def leave(self) -> None:
        """Count no more: with the answer in hand, its sender may send the next."""
        if not self.left:
            self.left = True
            self.server.owner.leave()

    def log_message(self, format: str, *arguments: object) -> None:
        """Be quiet."""


Behaviour = Callable[[Delivery], None]


class Receiving(ThreadingHTTPServer):
    """The server; what goes wrong in a connection is the test's doing."""

    daemon_threads = True
    # More than ever come at once: a full backlog would look like a receiver that is away.
    request_queue_size = 128
    owner: Receiver

    def handle_error(self, request: object, client_address: object) -> None:
        """Be quiet."""


@dataclass
class Receiver:
    """A server in a thread; `behaviours` are used up one by one, then `usual`."""

    secrets: tuple[str, ...] = (SECRET,)
    behaviours: list[Behaviour] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)  # all that came
    accepted: list[dict[str, Any]] = field(default_factory=list)  # verified, and answered 2xx
    refused: int = 0  # not verified
    at_once: int = 0
    most_at_once: int = 0
    followed: bool = False
    usual: Behaviour | None = None  # None: verify and enqueue
    port: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?token=hush"

    def take(self, delivery: Delivery) -> None:
        """Note the request, and behave."""
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            behave = self.behaviours.pop(0) if self.behaviours else (self.usual or self.enqueue)
            headers = {name.lower(): value for name, value in delivery.headers.items()}
            request = {"path": delivery.path, "headers": headers, "body": delivery.body}
            self.requests.append(request)
        try:
            with suppress(OSError):
                behave(delivery)
        finally:
            delivery.leave()

    def leave(self) -> None:
        """One request less."""
        with self._lock:
            self.at_once -= 1

    def enqueue(self, delivery: Delivery) -> None:
        """Verify, note it, and answer 204; 401 if it is not signed by any of our secrets."""
        headers = {name.lower(): value for name, value in delivery.headers.items()}
        for secret in self.secrets:
            with suppress(WebhookVerificationError):
                Webhook(secret).verify(delivery.body, headers)
                message = json.loads(delivery.body)
                with self._lock:
                    self.accepted.append({"id": headers["webhook-id"], **message})
                delivery.answer(204)
                return
        self.refused += 1
        delivery.answer(401)


@contextmanager
def receiving(
    *behaviours: Behaviour,
    secrets: tuple[str, ...] = (SECRET,),
    tls: ssl.SSLContext | None = None,
    port: int = 0,
) -> Iterator[Receiver]:
    """A receiver on loopback that behaves so, one after the other, and then accepts."""
    receiver = Receiver(secrets, list(behaviours))
    server = Receiving(("127.0.0.1", port), Delivery)
    server.owner = receiver
    receiver.port = server.server_address[1]
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def answering(status: int, **headers: str) -> Behaviour:
    """Answer so, whatever came."""
    return lambda delivery: delivery.answer(status, b"", **headers)


def slow(seconds: float, then: Behaviour) -> Behaviour:
    """Do it later."""

    def behave(delivery: Delivery) -> None:
        time.sleep(seconds)
        then(delivery)

    return behave


def closing(delivery: Delivery) -> None:
    """Close the connection without a word."""
    delivery.close_connection = True
    delivery.connection.close()


def dripping(delivery: Delivery) -> None:
    """Answer with headers that never end, a byte at a time."""
    delivery.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    for _ in range(600):
        delivery.wfile.write(b"a")
        delivery.wfile.flush()
        time.sleep(0.05)


def endless(delivery: Delivery) -> None:
    """Answer 200 with a body that never ends."""
    delivery.send_response(200)
    delivery.end_headers()
    for _ in range(100_000):
        delivery.wfile.write(b"x" * 65_536)


def endless_headers(delivery: Delivery) -> None:
    """Answer 200 with headers that never end."""
    delivery.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(100_000):
        delivery.wfile.write(b"X-%d: %s\r\n" % (number, b"a" * 1000))


def mumbling(delivery: Delivery) -> None:
    """Answer what is no HTTP."""
    delivery.wfile.write(b"what?\r\n\r\n")
    delivery.connection.close()


def stammering(delivery: Delivery) -> None:
    """Answer 200 with headers of which one is broken."""
    delivery.wfile.write(b"HTTP/1.1 200 OK\r\nbroken\r\nContent-Length: 0\r\n\r\n")
