"""Pause the workers of both queues: RQ's own suspension, with who asked for it and why.

The note is the value of RQ's key, which RQ itself only looks for. So it comes, expires and goes
with the suspension, whoever ends it, and `rq suspend` and `rq resume` stay what they are.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from redis import Redis
from rq.suspension import WORKERS_SUSPENDED

from app.queue.connection import translated_errors

# The year 9999, which is the last that a date can have.
MAX_SECONDS = 253_370_764_800
# Characters of a reason, and of a name: what anybody else may have written there is cut.
MAX_TEXT = 200


@dataclass(frozen=True, slots=True)
class Pause:
    """What is known of a pause: all but `until` is None if `rq suspend` made it."""

    reason: str | None = None
    by: str | None = None
    since: int | None = None  # Unix seconds
    until: int | None = None  # Unix seconds; None: until somebody resumes


def pause(
    connection: Redis, *, reason: str | None, by: str, now: int, seconds: int | None = None
) -> Pause:
    """Have all workers claim nothing, for so many seconds or until somebody resumes.

    `now` is in Unix seconds. Raises QueueUnavailable.
    """
    note = Pause(reason, by, now, None if seconds is None else now + seconds)
    with translated_errors():
        connection.set(WORKERS_SUSPENDED, json.dumps(asdict(note)), ex=seconds)
    return note


def resume(connection: Redis) -> Pause | None:
    """Have all workers claim again; the pause that this ends. Raises QueueUnavailable."""
    with translated_errors():
        found: Any = connection.getdel(WORKERS_SUSPENDED)
    return read_note(found)


def read_pause(connection: Redis) -> Pause | None:
    """The pause that lasts now, if any. Raises QueueUnavailable."""
    with translated_errors():
        found: Any = connection.get(WORKERS_SUSPENDED)
    return read_note(found)


def read_note(found: bytes | None, expires: int = -1) -> Pause | None:
    """What the key's value says; `expires` is when Redis removes it, in Unix seconds, if it does.

    None if there is no such key.
    """
    if found is None:
        return None
    try:
        told = json.loads(found)
    except ValueError:
        told = None
    told = told if isinstance(told, dict) else {}
    until = told.get("until") if expires < 0 else expires
    return Pause(
        reason=_text(told.get("reason")),
        by=_text(told.get("by")),
        since=_seconds(told.get("since")),
        until=_seconds(until),
    )


def describe_pause(found: Pause) -> str:
    """`paused since … UTC by …, until … UTC: reason`, as much of it as is known."""
    since = "" if found.since is None else f" since {_at(found.since)}"
    by = "" if found.by is None else f" by {found.by}"
    until = "" if found.until is None else f", until {_at(found.until)}"
    reason = "" if found.reason is None else f": {found.reason}"
    return f"paused{since}{by}{until}{reason}"


def _at(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _text(value: object) -> str | None:
    return value[:MAX_TEXT] if isinstance(value, str) else None


def _seconds(value: object) -> int | None:
    """A moment that can be shown as a date."""
    return value if isinstance(value, int) and 0 <= value < MAX_SECONDS else None
