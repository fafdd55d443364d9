"""What a 200 promises, by what DURABILITY asks and what the server can do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from app.local.valkey import Valkey
from app.queue.connection import open_redis
from app.queue.durability import Keeping, keeping_of, promise, read_keeping

ALWAYS = Keeping(append_only=True, fsync="always", knows_waitaof=True, replicas=0)
EVERYSEC = replace(ALWAYS, fsync="everysec")
REFUSED = ResponseError("NOPERM")


@pytest.mark.parametrize("durability", ["disk", "replica"])
def test_under_always_the_disk_is_not_waited_for(durability: str) -> None:
    found = promise(durability, ALWAYS)
    assert not found.wait_disk
    assert found.wait_replica == (durability == "replica")
    assert found.loss == ""


@pytest.mark.parametrize("keeping", [EVERYSEC, replace(EVERYSEC, fsync=None)])
def test_under_everysec_or_where_nobody_says_the_disk_is_waited_for(keeping: Keeping) -> None:
    assert promise("disk", keeping).wait_disk
    assert promise("replica", keeping).wait_disk
    assert promise("replica", keeping).wait_replica
    assert promise("replica", keeping).loss == ""


@pytest.mark.parametrize("keeping", [ALWAYS, EVERYSEC, replace(ALWAYS, append_only=False)])
def test_in_memory_nothing_is_waited_for_and_the_risk_is_named(keeping: Keeping) -> None:
    found = promise("memory", keeping)
    assert not found.waits
    assert "a crash may lose the last seconds" in found.message
    assert found.loss == ""


@pytest.mark.parametrize(
    ("keeping", "lost"),
    [
        (replace(ALWAYS, append_only=False), "all since its last snapshot"),
        (replace(ALWAYS, append_only=None), "refuses INFO"),
        (replace(EVERYSEC, fsync="no"), "the last half minute"),
        (replace(EVERYSEC, knows_waitaof=False), "the last two seconds"),
        (replace(EVERYSEC, fsync=None, knows_waitaof=False), "the last two seconds"),
    ],
)
def test_what_cannot_be_had_is_not_waited_for_and_what_may_be_lost_is_said(
    keeping: Keeping, lost: str
) -> None:
    found = promise("disk", keeping)
    assert not found.waits
    assert lost in found.loss
    assert "backfill" in found.loss
    assert "in the memory" in found.message


def test_a_redis_before_7_2_that_always_syncs_loses_nothing() -> None:
    assert promise("disk", replace(ALWAYS, knows_waitaof=False)).loss == ""


def test_where_no_replica_can_be_waited_for_the_disk_still_is() -> None:
    found = promise("replica", replace(EVERYSEC, replicas=None))
    assert found.wait_disk
    assert not found.wait_replica
    assert "a failover may lose the last seconds" in found.loss


def test_without_an_append_only_file_a_replica_is_still_waited_for() -> None:
    found = promise("replica", replace(ALWAYS, append_only=False))
    assert found.wait_replica
    assert not found.wait_disk
    assert "snapshot" in found.loss


def test_a_server_that_refuses_every_question_is_known_to_say_nothing() -> None:
    assert keeping_of([REFUSED] * 4) == Keeping(None, None, False, None)


@pytest.fixture
def asked(redis: Redis) -> Iterator[Redis]:
    """A server, whose configuration is as before after the test."""
    before = redis.config_get("appendfsync") | redis.config_get("appendonly")
    yield redis
    for name in ("appendfsync", "appendonly"):
        redis.config_set(name, before[name] or "")


@pytest.mark.parametrize("fsync", ["always", "everysec", "no"])
def test_a_server_says_how_it_keeps_things(asked: Redis, fsync: str) -> None:
    asked.config_set("appendfsync", fsync)
    assert read_keeping(asked) == replace(ALWAYS, fsync=fsync)
    asked.config_set("appendonly", "no")
    assert read_keeping(asked) == replace(ALWAYS, fsync=fsync, append_only=False)


def test_a_managed_server_that_refuses_config_is_asked_by_waiting(
    redis: Redis, valkey: Valkey
) -> None:
    redis.acl_setuser(
        "managed", enabled=True, passwords=["+word"], keys=["*"], commands=["+@all", "-config"]
    )
    try:
        with open_redis(f"redis://managed:word@127.0.0.1:{valkey.port}/0") as client:
            found = read_keeping(client)
    finally:
        redis.acl_deluser("managed")
    assert found == replace(ALWAYS, fsync=None)


def test_what_demo_dev_and_tests_start_always_syncs(tmp_path: Path) -> None:
    assert Valkey(tmp_path).fsync == "always"
