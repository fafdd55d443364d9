"""A pause is RQ's suspension with a note, and goes with it however it ends."""

from __future__ import annotations

import pytest
from redis import Redis
from rq.suspension import is_suspended
from rq.suspension import resume as rq_resume
from rq.suspension import suspend as rq_suspend

from app.queue.backlog import read_backlog
from app.queue.model import EFFECTS, EVENTS
from app.queue.pausing import MAX_TEXT, Pause, describe_pause, pause, read_note, read_pause, resume

NOW = 1_800_000_000


def test_rq_takes_a_pause_for_its_own_suspension(redis: Redis) -> None:
    pause(redis, reason="x", by="ops@host", now=NOW)
    assert is_suspended(redis)
    assert resume(redis) == Pause("x", "ops@host", NOW)
    assert not is_suspended(redis)


def test_both_queues_show_the_pause(redis: Redis) -> None:
    pause(redis, reason="database upgrade", by="ops@host", now=NOW)
    for spec in (EVENTS, EFFECTS):
        assert read_backlog(redis, spec).pause == Pause("database upgrade", "ops@host", NOW)


def test_a_pause_for_a_while_ends_by_itself(redis: Redis) -> None:
    pause(redis, reason=None, by="ops@host", now=NOW, seconds=600)
    assert 590 < redis.ttl("rq:suspended") <= 600
    redis.pexpire("rq:suspended", 0)
    assert read_pause(redis) is None


def test_when_a_pause_ends_is_said_by_redis(redis: Redis) -> None:
    rq_suspend(redis, 600)
    found = read_backlog(redis, EVENTS).pause
    assert found is not None
    assert found.until is not None
    assert 590 < found.until - redis.time()[0] <= 601  # rounded up


def test_a_second_pause_takes_the_place_of_the_first(redis: Redis) -> None:
    pause(redis, reason="first", by="a@b", now=NOW, seconds=60)
    pause(redis, reason="second", by="c@d", now=NOW + 5)
    assert read_pause(redis) == Pause("second", "c@d", NOW + 5)
    assert redis.ttl("rq:suspended") == -1


def test_no_note_outlives_its_pause(redis: Redis) -> None:
    pause(redis, reason="old", by="a@b", now=NOW)
    rq_resume(redis)
    assert read_pause(redis) is None
    assert redis.keys() == []
    rq_suspend(redis)
    assert read_pause(redis) == Pause()


def test_to_resume_what_is_not_paused_changes_nothing(redis: Redis) -> None:
    assert resume(redis) is None
    assert redis.keys() == []


@pytest.mark.parametrize(
    "value",
    [b"1", b"", b"\xff", b"[]", b"{", b'{"reason": 1, "by": [], "since": "x", "until": -1}'],
)
def test_a_note_that_somebody_else_wrote_is_a_pause_of_which_nothing_is_known(value: bytes) -> None:
    assert read_note(value) == Pause()


def test_what_a_note_says_is_bounded() -> None:
    found = read_note(b'{"reason": "%s", "since": %d}' % (b"x" * 9_000, 10**18))
    assert found == Pause("x" * MAX_TEXT)


def test_a_pause_is_described_by_what_is_known_of_it() -> None:
    assert describe_pause(Pause()) == "paused"
    assert describe_pause(Pause("why", "a@b", NOW, NOW + 60)) == (
        "paused since 2027-01-15 08:00:00 UTC by a@b, until 2027-01-15 08:01:00 UTC: why"
    )
