"""Why a server ends a TLS connection that it has just taken: it says so once, and it may be missed.

By TLS 1.3 a client's certificate is judged after the handshake, as the client sees it. What the
client has sent by then makes the server's host reset the connection, which may overtake the alert.
So it is listened for on a second connection, on which nothing is sent.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import closing
from typing import Any

from redis.asyncio.connection import SSLConnection as AsyncSSLConnection
from redis.connection import SSLConnection
from redis.exceptions import RedisError

# Seconds that the alert is waited for: a server that takes the certificate sends nothing.
LISTEN = 1.0
LOST = (ssl.SSLEOFError, ConnectionResetError, BrokenPipeError)


def missed_alert(connection: Any, error: BaseException) -> ssl.SSLError | None:
    """The alert that was missed, where a connection of threads was lost as it greeted a server."""
    if not isinstance(connection, SSLConnection) or not isinstance(error.__context__, LOST):
        return None
    try:
        with closing(connection._connect()) as listening:
            listening.settimeout(LISTEN)
            listening.recv(1)
    except (RedisError, OSError) as heard:  # the former of sentinels, which are asked again
        return _alert(heard)
    return None


async def missed_alert_of_loop(connection: Any, error: BaseException) -> ssl.SSLError | None:
    """The same for one of the event loop."""
    if not isinstance(connection, AsyncSSLConnection) or not isinstance(error.__context__, LOST):
        return None
    try:
        async with asyncio.timeout(LISTEN):
            reader, writer = await asyncio.open_connection(**connection._connection_arguments())
            try:
                await reader.read(1)
            finally:
                writer.close()
    except OSError as heard:
        return _alert(heard)
    return None


def _alert(heard: Exception) -> ssl.SSLError | None:
    if not isinstance(heard, ssl.SSLError) or isinstance(heard, LOST):
        return None
    heard.__context__ = None  # the error that it becomes the cause of
    return heard
