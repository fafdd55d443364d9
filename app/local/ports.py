"""Ports on loopback: which can be listened on."""

from __future__ import annotations

import socket


def port_problem(port: int) -> str | None:
    """Why nobody can listen on the port now, and what to do, in one line; None if one can."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers set it
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError:
            return f"port {port} is not yours to listen on: choose one from 1024"
        except OSError:
            return f"port {port} is in use: end what uses it, or choose another"
    return None
