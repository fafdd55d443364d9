"""Stripe's API, as little of it as effects need: it counts what it was asked for.

Its answers are dated long ago, so that they outrank no event: the standings stay the model's.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.faults.traffic import BEGAN
from tests.support.events import session_body
from tests.support.http_server import serving

LONG_AGO = "Sat, 01 Jan 2000 00:00:00 GMT"


class StripeStub:
    """Where it is, how often each session was asked about, and how often cancelled.

    `opened` is when each session was, by default at the first second of the tests. `faults` says
    what a session's calls are answered with instead: a status, or 0 for none at all.
    """

    def __init__(self) -> None:
        self.url = ""
        self.opened: dict[str, int] = {}
        self.faults: dict[str, int] = {}
        self.failed: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.cancelled: Counter[str] = Counter()
        self.lock = threading.Lock()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stub: StripeStub

    def do_GET(self) -> None:
        self._answer("requires_input", self.stub.asked)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"] or 0))
        self._answer("canceled", self.stub.cancelled)

    def _answer(self, status: str, counter: Counter[str]) -> None:
        if self.path == "/v1/account":
            self._send(200, {"id": "acct_1", "object": "account"})
            return
        if "/verification_sessions/" not in self.path:  # what a sweep lists
            self._send(200, {"object": "list", "data": [], "has_more": False})
            return
        session = self.path.partition("?")[0].removesuffix("/cancel").rpartition("/")[2]
        fault = self.stub.faults.get(session)
        with self.stub.lock:
            (counter if fault is None else self.stub.failed)[session] += 1
        if fault == 0:
            self.close_connection = True
            return
        if fault:
            self._send(fault, {"error": {"type": "api_error", "message": "a test"}})
        else:
            created = self.stub.opened.get(session, BEGAN)
            self._send(200, session_body(session, status, created=created, reference=None))

    def _send(self, status: int, fields: dict[str, Any]) -> None:
        body = json.dumps(fields).encode()
        self.send_response_only(status)
        self.send_header("Date", LONG_AGO)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def stripe_stub() -> Iterator[StripeStub]:
    """A stub on a free port of loopback."""
    stub = StripeStub()
    handler = type("Handler", (_Handler,), {"stub": stub})
    with serving(handler) as stub.url:
        yield stub
