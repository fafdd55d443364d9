"""`NOTIFY_STREAM=name`: the message, appended to a Redis stream."""

from __future__ import annotations

from redis import Redis
from redis.exceptions import ResponseError

from app.domain.errors import Permanent
from app.notifications.message import ReferenceChanged

# Seconds an entry is kept: a reader that is away over a long weekend misses nothing.
RETENTION = 7 * 24 * 60 * 60


class NotAStream(Permanent):
    """NOTIFY_STREAM names a key that holds something else: choose another name."""


def append(connection: Redis, name: str, message: ReferenceChanged, now: float) -> None:
    """Append the message, and trim entries that are too old. `now` is in Unix seconds.

    Raises NotAStream, and redis' own errors.
    """
    oldest = int((now - RETENTION) * 1000)
    body = message.body(now)
    try:
        connection.xadd(name, {"id": message.id, "message": body}, minid=oldest, approximate=True)
    except ResponseError as error:
        # The client strips the code from answers that it has a class for.
        if "wrong kind of value" in str(error) or str(error).startswith("WRONGTYPE"):
            raise NotAStream("NOTIFY_STREAM names a key that is not a stream") from error
        raise
