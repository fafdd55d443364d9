"""What the doctor says of DURABILITY."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from tests.doctor.deployment import Deployment, assert_is


@pytest.fixture
def server(redis: Redis) -> Iterator[Redis]:
    """Redis, whose configuration is as before after the test."""
    before = redis.config_get("append*")
    yield redis
    for name in ("appendonly", "appendfsync"):
        redis.config_set(name, before[name] or "")


@pytest.mark.parametrize("fsync", ["always", "everysec"])
def test_a_redis_that_can_keep_the_promise_is_ok(
    deployment: Deployment, server: Redis, fsync: str
) -> None:
    server.config_set("appendfsync", fsync)
    found = deployment.examine(DURABILITY="disk")
    assert_is(found["durability"], "ok", "on the disk of Redis")


def test_what_may_be_lost_is_said_with_what_heals_it(deployment: Deployment, server: Redis) -> None:
    server.config_set("appendonly", "no")
    found = deployment.examine(DURABILITY="disk")
    assert_is(found["durability"], "warning", "since its last snapshot", "backfill", "appendonly")


def test_a_replica_that_is_not_there_is_wrong(deployment: Deployment, server: Redis) -> None:
    server.config_set("appendfsync", "always")
    found = deployment.examine(DURABILITY="replica")
    assert_is(found["durability"], "wrong", "no replica is connected", "503")


def test_memory_that_was_asked_for_is_ok_and_the_risk_is_named(deployment: Deployment) -> None:
    assert_is(deployment.examine()["durability"], "ok", "a crash may lose the last seconds")
