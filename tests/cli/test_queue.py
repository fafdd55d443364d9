"""`queue`: how both queues stand, and a pause for their workers."""

from __future__ import annotations

import pytest
from redis import Redis

from app.local.valkey import Valkey
from app.queue.model import EFFECTS, EVENTS
from app.queue.pausing import read_pause
from app.queue.transitions import JobQueue
from tests.support.cli import Run
from tests.support.places import new


@pytest.fixture
def environment(redis: Redis, valkey: Valkey) -> dict[str, str]:
    """Redis alone: these commands need no ledger."""
    return {"REDIS_URL": valkey.url}


def test_it_shows_what_waits_in_each_queue(run: Run, redis: Redis) -> None:
    JobQueue(redis, EVENTS).enqueue_all([new("evt_1"), new("evt_2", delay=600)])
    JobQueue(redis, EFFECTS).enqueue(new("effect-1"))
    JobQueue(redis, EFFECTS).claim("token", 60, 1)
    shown = run("queue", "--json").object
    assert shown["paused"] is None
    events, effects = shown["queues"]["events"], shown["queues"]["effects"]
    assert (events["queued"], events["scheduled"], effects["started"]) == (1, 1, 1)
    assert (events["workers"], events["failed"], events["completed"]) == (0, 0, 0)
    assert 0 <= events["oldest_queued_seconds"] < 60
    text = run("queue")
    assert text.code == 0
    assert "paused" not in text.out
    assert {"events", "effects"} <= set(text.out.split())


def test_a_pause_is_shown_with_who_when_and_why_until_it_is_resumed(run: Run, redis: Redis) -> None:
    paused = run("queue", "pause", "--reason", "database upgrade", "--for", "30m")
    assert paused.code == 0
    found = read_pause(redis)
    assert found is not None
    assert found.reason == "database upgrade"
    assert "@" in (found.by or "")
    assert 1790 < redis.ttl("rq:suspended") <= 1800
    for told in (paused.out, run("queue").out):
        assert str(found.by) in told
        assert "UTC: database upgrade" in told
        assert "`queue resume`" in told
        assert "Deliveries are accepted" in told
    assert run("queue", "--json").object["paused"]["reason"] == "database upgrade"
    assert "they were paused since" in run("queue", "resume").out
    assert read_pause(redis) is None


def test_json_says_what_was_paused_and_resumed(run: Run) -> None:
    paused = run("queue", "pause", "--json").object["paused"]
    assert (paused["reason"], paused["until"]) == (None, None)
    assert run("queue", "resume", "--json").object == {"resumed": paused}
    assert run("queue", "resume", "--json").object == {"resumed": None}


def test_to_resume_what_is_not_paused_is_said(run: Run) -> None:
    assert run("queue", "resume") == (0, "The workers were not paused.\n", "")


def test_other_applications_that_are_paused_with_ours_are_named(run: Run, redis: Redis) -> None:
    redis.sadd("rq:queues", "rq:queue:mail\x1b[2J")
    paused = run("queue", "pause")
    assert "are paused too: mail" in paused.err
    assert "\x1b" not in paused.err


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--reason", ""),
        ("--reason", "x" * 201),
        ("--reason", "a\nb"),
        ("--reason", "\x1b[2J"),
        ("--for", "soon"),
        ("--for", "0m"),
        ("--for", "-5m"),
    ],
)
def test_what_cannot_be_used_pauses_nothing(
    run: Run, redis: Redis, option: str, value: str
) -> None:
    refused = run("queue", "pause", option, value)
    assert refused.code == 2
    assert option in refused.err
    assert redis.keys() == []


def test_redis_away_is_one_line_and_exit_code_1(run: Run) -> None:
    for command in (["queue"], ["queue", "pause"], ["queue", "resume"]):
        failed = run(*command, REDIS_URL="redis://127.0.0.1:1/0")
        assert (failed.code, failed.out) == (1, "")
        assert failed.err.count("\n") == 1
