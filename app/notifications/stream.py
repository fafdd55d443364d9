"""`NOTIFY_STREAM=name`: the message, appended to a Redis stream."""

from __future__ import annotations

from redis import Redis

from app.notifications.message import ReferenceChanged

# Seconds an entry is kept: a reader that is away over a long week-end finds all.
KEPT = 7 * 24 * 60 * 60


def append(connection: Redis, name: str, message: ReferenceChanged, now: float) -> None:
    """Append the message, and let go of what is too old. `now` is in Unix seconds.

    Raises redis' own errors.
    """
    oldest = int((now - KEPT) * 1000)
    connection.xadd(
        name, {"id": message.id, "message": message.body(now)}, minid=oldest, approximate=True
    )
