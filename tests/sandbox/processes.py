"""Real parts for the tests: a sandbox in a process of its own, and a receiver of webhooks."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx2
import stripe

from tests.support.http_server import serving
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]


@dataclass
class Sandbox:
    """A running sandbox, and how to talk to it."""

    process: subprocess.Popen[str]
    url: str
    http: httpx2.Client

    def client(self, key: str = "sk_test_123") -> stripe.StripeClient:
        """The official client, which tries once only."""
        return stripe.StripeClient(key, base_addresses={"api": self.url}, max_network_retries=0)

    def control(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        """The JSON that /_sandbox answers, with the status that is expected."""
        answer = self.http.request(method, f"/_sandbox{path}", json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    def submit(self, session: str, outcome: str, **fields: Any) -> Any:
        """Somebody submits."""
        return self.control("POST", f"/sessions/{session}/submit", {"outcome": outcome} | fields)

    def truth(self, session: str) -> Any:
        """What is true of a session."""
        return next(s for s in self.control("GET", "/sessions")["data"] if s["id"] == session)

    def stop(self) -> int:
        """Ask it to end; its exit code."""
        self.process.terminate()
        return self.process.wait(10)


def command(*arguments: str) -> list[str]:
    """The command line of a sandbox."""
    return [sys.executable, "-m", "deploy.sandbox", *arguments]


@contextmanager
def running(*arguments: str) -> Iterator[Sandbox]:
    """A sandbox on a free port."""
    with subprocess.Popen(
        command("--port", "0", *arguments), cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        try:
            with httpx2.Client(base_url=url, trust_env=False, timeout=20) as http:
                yield Sandbox(process, url, http)
        finally:
            process.kill()


@dataclass
class Received:
    """One request that the receiver got."""

    body: bytes
    signature: str
    at: float

    @property
    def event(self) -> Any:
        """The event."""
        return json.loads(self.body)


@dataclass
class Receiver:
    """Keeps what it is sent; answers `statuses` in turn, then 200."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    def events(self, count: int) -> list[Any]:
        """The first `count` events, in the order they came in; waits for them."""
        eventually(lambda: len(self.received) >= count)
        return [each.event for each in self.received[:count]]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free port."""
    receiver = Receiver()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            with lock:
                receiver.received.append(
                    Received(body, self.headers["stripe-signature"], time.time())
                )
                status = receiver.statuses.pop(0) if receiver.statuses else 200
            answer = b'{"outcome": "enqueued"}'
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    with serving(Handler) as url:
        receiver.url = f"{url}/webhooks"
        yield receiver
