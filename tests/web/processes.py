"""The web process as an operator starts it, and talk to it over a bare socket."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import RemoteDisconnected, parse_headers
from pathlib import Path

from app.local.valkey import free_port
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
START_WITHIN = 30.0


@dataclass
class Web:
    """A running web process."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def connect(self) -> socket.socket:
        """A connection of one's own."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def answers(self) -> bool:
        """Whether it answers."""
        with suppress(OSError):
            return self.exchange(request("GET", "/healthz")).status == 200
        return False

    def exchange(self, sent: bytes) -> Answer:
        """Send these bytes over a new connection, and read one answer."""
        with self.connect() as connection:
            connection.sendall(sent)
            return read_answer(connection)

    def signal_all(self) -> None:
        """SIGTERM to the process and its children, as a dyno's shutdown does."""
        os.killpg(self.process.pid, signal.SIGTERM)

    def is_gone(self) -> bool:
        """Whether neither the process nor a child of it is left."""
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return True
        return False


@dataclass(frozen=True)
class Answer:
    """What the server said."""

    status: int
    headers: dict[str, str]
    body: bytes


def environment(**settings: str) -> dict[str, str]:
    """An environment with these settings and none of the machine's own."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**inherited, "HOST": "127.0.0.1", **settings}


def command() -> list[str]:
    """The command line."""
    return [sys.executable, "-m", "app.web"]


@contextmanager
def running(folder: Path, *starter: str, **settings: str) -> Iterator[Web]:
    """A web process that answers; its output is in `folder`. `starter` is given its command."""
    port = int(settings.get("PORT") or free_port())
    log = folder / "web.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*starter, *command()],
            cwd=ROOT,
            env=environment(**{**settings, "PORT": str(port)}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    web = Web(process, port, log)
    try:
        eventually(lambda: process.poll() is not None or web.answers(), START_WITHIN)
        assert process.poll() is None, log.read_text()
        yield web
    finally:
        with suppress(ProcessLookupError):
            web.signal_all()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def request(method: str, path: str, body: bytes = b"", *headers: tuple[str, str]) -> bytes:
    """A request's bytes. Content-Length is added if there is a body and no framing is given."""
    lines = [f"{method} {path} HTTP/1.1", "Host: identity.test"]
    lines += [f"{name}: {value}" for name, value in headers]
    framed = {name.lower() for name, _ in headers} & {"content-length", "transfer-encoding"}
    if body and not framed:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def read_answer(connection: socket.socket) -> Answer:
    """The next answer on this connection; what comes after it is left for the next call."""
    with connection.makefile("rb", buffering=0) as answers:
        line = answers.readline()
        if not line:
            raise RemoteDisconnected("closed without an answer")
        headers = {name.lower(): value for name, value in parse_headers(answers).items()}
        body, length = b"", int(headers.get("content-length", 0))
        while len(body) < length and (part := answers.read(length - len(body))):
            body += part
    return Answer(int(line.split()[1]), headers, body)
