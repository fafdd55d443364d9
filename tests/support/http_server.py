"""A small HTTP server in a thread, for what a test wants answered."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that was killed, or has gone, in the middle."""


def _say_nothing(*_: object) -> None:
    """Write no log of requests."""


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """The URL, without a slash at its end, of a server on loopback that writes nothing."""
    quiet = type("Quiet", (handler,), {"log_message": _say_nothing})
    server = _Server(("127.0.0.1", 0), quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))  # seconds between looks
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
