"""The stream: the same message, kept for a time."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from redis import Redis

from app.notifications import stream
from app.notifications.stream import RETENTION, NotAStream, append
from tests.notifications.receiver import CHANGED


def entries(redis: Redis) -> list[dict[bytes, bytes]]:
    found: Any = redis.xrange("changes")
    return [fields for _, fields in found]


def test_the_stream_holds_the_message_of_the_callback(redis: Redis) -> None:
    append(redis, "changes", CHANGED, 1_700_000_000.0)
    (entry,) = entries(redis)
    assert entry == {b"id": b"msg_abc_3", b"message": CHANGED.body(1_700_000_000.0).encode()}
    assert json.loads(entry[b"message"])["type"] == "reference.verified"


def test_entries_that_are_too_old_are_let_go_of(redis: Redis) -> None:
    now = time.time()
    for number in range(500):  # whole nodes are trimmed, of a hundred entries each
        redis.xadd("changes", {"old": "1"}, id=f"{int((now - RETENTION - 60) * 1000)}-{number}")
    append(redis, "changes", CHANGED, now)
    assert redis.xlen("changes") <= 100


def test_entries_of_the_last_days_are_kept(redis: Redis) -> None:
    now = time.time()
    for number in range(500):
        redis.xadd("changes", {"old": "1"}, id=f"{int((now - RETENTION + 60) * 1000)}-{number}")
    append(redis, "changes", CHANGED, now)
    assert redis.xlen("changes") == 501


def test_a_name_that_is_taken_by_something_else_is_not_written_to(redis: Redis) -> None:
    redis.set("changes", "mine")
    with pytest.raises(NotAStream, match="NOTIFY_STREAM names a key that is not a stream"):
        append(redis, "changes", CHANGED, time.time())
    assert redis.get("changes") == b"mine"


def test_a_long_week_end_is_kept() -> None:
    assert stream.RETENTION >= 4 * 24 * 3600
