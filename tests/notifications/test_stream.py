"""The stream: the same message, kept for a time."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from redis import Redis

from app.notifications import stream
from app.notifications.stream import RETENTION, NotAStream, append, trim
from tests.notifications.receiver import CHANGED


def entries(redis: Redis) -> list[dict[bytes, bytes]]:
    found: Any = redis.xrange("changes")
    return [fields for _, fields in found]


def test_the_stream_holds_the_message_of_the_callback(redis: Redis) -> None:
    append(redis, "changes", CHANGED, 1_700_000_000.0)
    (entry,) = entries(redis)
    assert entry == {b"id": b"msg_abc_3", b"message": CHANGED.body(1_700_000_000.0).encode()}
    assert json.loads(entry[b"message"])["type"] == "reference.verified"


def old_entries(redis: Redis, now: float, count: int) -> None:
    for number in range(count):
        redis.xadd("changes", {"old": "1"}, id=f"{int((now - RETENTION - 60) * 1000)}-{number}")


def test_to_append_removes_nothing_which_is_the_clocks_work(redis: Redis) -> None:
    now = time.time()
    old_entries(redis, now, 300)
    append(redis, "changes", CHANGED, now)
    assert redis.xlen("changes") == 301


@pytest.mark.parametrize("count", [20, 21, 49])
def test_many_old_entries_are_removed_in_parts(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(stream, "PART", 10)
    now = time.time()
    old_entries(redis, now, count)
    append(redis, "changes", CHANGED, now)
    trim(redis, "changes", now)
    assert len(entries(redis)) == 1


def test_a_turn_removes_no_more_than_some_parts(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "PART", 10)
    monkeypatch.setattr(stream, "MAX_PARTS", 2)
    now = time.time()
    old_entries(redis, now, 50)
    trim(redis, "changes", now)
    assert redis.xlen("changes") == 50 - 2 * 9  # the last that was read is the first that stays


def test_a_quiet_stream_is_trimmed_to_the_entry(redis: Redis) -> None:
    now = time.time()
    for age in (60, -60):
        redis.xadd("changes", {"n": str(age)}, id=f"{int((now - RETENTION - age) * 1000)}-0")
    trim(redis, "changes", now)
    trim(redis, "absent", now)
    assert entries(redis) == [{b"n": b"-60"}]
    assert not redis.exists("absent")


def test_a_name_that_is_taken_by_something_else_is_not_written_to(redis: Redis) -> None:
    redis.set("changes", "mine")
    with pytest.raises(NotAStream, match="NOTIFY_STREAM names a key that is not a stream"):
        append(redis, "changes", CHANGED, time.time())
    with pytest.raises(NotAStream):
        trim(redis, "changes", time.time())
    assert redis.get("changes") == b"mine"


def test_a_long_week_end_is_kept() -> None:
    assert stream.RETENTION >= 4 * 24 * 3600
