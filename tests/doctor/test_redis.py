"""What the doctor finds at Redis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from app.doctor.redis import judge_server
from app.local.valkey import Valkey
from tests.doctor.deployment import Deployment, assert_is

BALLAST = 50 * 1_048_576  # bytes


@pytest.fixture
def redis_config(redis: Redis) -> Iterator[Redis]:
    """Redis, whose configuration is as before after the test."""
    before = redis.config_get("maxmemory*") | redis.config_get("appendonly")
    yield redis
    for name in ("maxmemory", "maxmemory-policy", "appendonly"):
        redis.config_set(name, before[name] or "")


def test_a_redis_that_evicts_is_wrong(deployment: Deployment, redis_config: Redis) -> None:
    redis_config.config_set("maxmemory-policy", "allkeys-lru")
    assert_is(deployment.examine()["redis eviction"], "warning", "allkeys-lru", "noeviction")
    redis_config.config_set("maxmemory", "100mb")
    assert_is(deployment.examine()["redis eviction"], "wrong", "allkeys-lru", "noeviction")


def test_a_redis_that_is_nearly_full_is_reported(
    deployment: Deployment, redis_config: Redis
) -> None:
    # Beside so much, what its clients' buffers take more or less from one moment to the next is
    # nothing.
    redis_config.setrange("ballast", BALLAST, b"x")
    used = int(redis_config.info("memory")["used_memory"])
    for part, state in ((0.5, "ok"), (0.87, "warning"), (0.98, "wrong")):
        redis_config.config_set("maxmemory", int(used / part))
        assert_is(deployment.examine()["redis memory"], state, "MB used")


def test_a_redis_without_an_append_only_file_is_warned_about(
    deployment: Deployment, redis_config: Redis
) -> None:
    redis_config.config_set("appendonly", "no")
    assert_is(deployment.examine()["redis persistence"], "warning", "appendonly yes")


def test_a_managed_redis_that_refuses_config_is_checked_all_the_same(
    deployment: Deployment, valkey: Valkey
) -> None:
    deployment.redis.acl_setuser(
        "managed", enabled=True, passwords=["+PLANTED"], keys=["*"], commands=["+@all", "-config"]
    )
    try:
        url = f"redis://managed:PLANTED@127.0.0.1:{valkey.port}/0"
        found = deployment.examine(REDIS_URL=url)
    finally:
        deployment.redis.acl_deluser("managed")
    for name in ("redis", "redis persistence", "redis eviction", "redis memory"):
        assert_is(found[name], "ok")


def test_a_redis_that_refuses_info_is_reported(deployment: Deployment, valkey: Valkey) -> None:
    deployment.redis.acl_setuser(
        "narrow", enabled=True, passwords=["+PLANTED"], keys=["*"], commands=["+ping"]
    )
    try:
        url = f"redis://narrow:PLANTED@127.0.0.1:{valkey.port}/0"
        found = deployment.examine(REDIS_URL=url)
    finally:
        deployment.redis.acl_deluser("narrow")
    assert_is(found["redis"], "wrong", "run INFO (NOPERM)", "right")
    assert_is(found["queue"], "warning", "not checked")


@pytest.mark.parametrize(
    ("info", "state"),
    [
        ({"redis_version": "6.2.14"}, "wrong"),
        ({"redis_version": "7.0.0"}, "ok"),
        ({"redis_version": "10.1"}, "ok"),
        ({"redis_version": "6.0", "valkey_version": "8.0.1"}, "ok"),
        ({"redis_version": "7.2.4", "valkey_version": "9.0.0", "cluster_enabled": 1}, "wrong"),
        ({}, "wrong"),
    ],
)
def test_redis_has_to_be_7_or_valkey_and_no_cluster(info: dict[str, str], state: str) -> None:
    assert judge_server(info, "here").state == state
