"""The last examination, for all who look at it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from redis import Redis

from app.doctor.kept import FRESH, KEY, Examinations
from app.doctor.result import Finding, State, as_json
from app.local.valkey import free_port
from app.queue.connection import open_redis
from tests.doctor.deployment import Deployment

MakeExaminations = Callable[[], Examinations]


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def opened(deployment: Deployment, redis: Redis, clock: Clock) -> MakeExaminations:
    """Makes another process' memory of the same deployment."""
    environment = deployment.environment
    return lambda: Examinations(redis, environment, clock)


def test_to_look_examines_nothing(opened: MakeExaminations, redis: Redis) -> None:
    assert opened().last() is None
    assert redis.keys() == []


def test_an_examination_is_seen_by_every_process(opened: MakeExaminations, clock: Clock) -> None:
    made = opened().run()
    assert made.at == clock.now
    assert {"redis", "database", "stripe key"} <= {finding.name for finding in made.findings}
    clock.now += 3_600
    assert opened().last() == made


def test_whoever_asks_again_at_once_is_given_the_same(
    opened: MakeExaminations, clock: Clock
) -> None:
    made = opened().run()
    clock.now += FRESH - 1
    assert opened().run() == made
    clock.now += 2
    assert opened().run().at == clock.now


def test_while_redis_is_away_the_process_that_examined_remembers(
    deployment: Deployment, clock: Clock
) -> None:
    with open_redis(f"redis://127.0.0.1:{free_port()}") as away:
        examinations = Examinations(away, deployment.environment, clock)
        made = examinations.run()
        assert examinations.last() == made


@pytest.mark.parametrize("text", ["", "{", "[1]", "[1, [{}]]", '[1, [{"state": "ok"}]]', "7"])
def test_what_another_release_has_left_is_not_read(
    opened: MakeExaminations, redis: Redis, text: str
) -> None:
    redis.set(KEY, text)
    assert opened().last() is None


@pytest.mark.parametrize(
    ("states", "whole"),
    [
        ([], "ok"),
        (["ok", "ok"], "ok"),
        (["ok", "warning"], "warning"),
        (["warning", "wrong"], "wrong"),
    ],
)
def test_the_document_says_how_ill_the_whole_is(states: list[State], whole: str) -> None:
    findings = [Finding(str(n), state, "message") for n, state in enumerate(states)]
    found = as_json(findings)
    assert found["state"] == whole
    assert [check["state"] for check in found["checks"]] == states
