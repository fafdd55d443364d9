"""`NOTIFY_STREAM=name`: the message, appended to a Redis stream."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from redis import Redis
from redis.exceptions import ResponseError

from app.domain.errors import Permanent
from app.notifications.message import ReferenceChanged

# Seconds an entry is kept: a reader that is away over a long weekend misses nothing.
RETENTION = 7 * 24 * 60 * 60
# Entries that one command reads or removes, so that none blocks Redis for long, and how many such
# parts the clock removes in one turn.
PART, MAX_PARTS = 1_000, 20

Entries = list[tuple[bytes, dict[bytes, bytes]]]


class NotAStream(Permanent):
    """NOTIFY_STREAM names a key that holds something else: choose another name."""


def append(connection: Redis, name: str, message: ReferenceChanged, now: float) -> None:
    """Append the message. `now` is in Unix seconds.

    Raises NotAStream, and redis' own errors.
    """
    body = message.body(now)
    with _named_errors():
        connection.xadd(name, {"id": message.id, "message": body})


def trim(connection: Redis, name: str, now: float) -> None:
    """Let go of every entry that is too old; of very many, the oldest. `now` is in Unix seconds.

    To the entry, as each names a user. Raises NotAStream, and redis' own errors.
    """
    oldest: int | bytes = int((now - RETENTION) * 1000)
    with _named_errors():
        for _ in range(MAX_PARTS):
            old = cast(Entries, connection.xrange(name, "-", f"({oldest!s}", count=PART))
            if len(old) < PART:
                connection.xtrim(name, minid=oldest, approximate=False)
                return
            connection.xtrim(name, minid=old[-1][0], approximate=False)


def remove(connection: Redis, name: str, is_meant: Callable[[Any], bool]) -> int:
    """Remove the messages whose `data` is meant; returns how many.

    Reads the whole stream, in parts. Raises NotAStream, and redis' own errors.
    """
    removed, after = 0, b"-"
    with _named_errors():
        while entries := cast(Entries, connection.xrange(name, after.decode(), "+", count=PART)):
            meant = [id for id, fields in entries if is_meant(_data(fields))]
            if meant:
                removed += int(connection.xdel(name, *meant))
            after = b"(" + entries[-1][0]
    return removed


def _data(fields: dict[bytes, bytes]) -> Any:
    try:
        return json.loads(fields[b"message"])["data"]
    except (KeyError, TypeError, ValueError):  # not of ours
        return {}


@contextmanager
def _named_errors() -> Iterator[None]:
    try:
        yield
    except ResponseError as error:
        # The client strips the code from answers that it has a class for.
        if "wrong kind of value" in str(error) or str(error).startswith("WRONGTYPE"):
            raise NotAStream("NOTIFY_STREAM names a key that is not a stream") from error
        raise
