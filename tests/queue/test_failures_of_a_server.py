"""What a Redis that answers may refuse, made for real: each has its own line."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from app.domain.errors import StoreFailure
from app.local.valkey import Valkey
from app.queue.connection import open_redis, translated_errors
from tests.queue.asking import PASSWORD, Fault, both, fault_of_threads
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A server to set up as no other test wants it."""
    with Valkey(tmp_path_factory.mktemp("own"), fsync="no") as server:
        yield server


@pytest.fixture(scope="module")
def admin(own: Valkey) -> Iterator[Redis]:
    """A user who may set it up."""
    with Redis.from_url(own.url) as client:
        client.acl_setuser(
            "narrow", enabled=True, passwords=[f"+{PASSWORD}"], commands=["+@all", "-set"]
        )
        client.acl_setuser(
            "fenced", enabled=True, passwords=[f"+{PASSWORD}"], commands=["+@all"], keys=["no"]
        )
        yield client


@contextmanager
def configured(admin: Redis, **settings: str) -> Iterator[None]:
    """The server with other settings, for the block."""
    before = {}
    for name, value in settings.items():
        setting = name.replace("_", "-")
        before[setting] = admin.config_get(setting)[setting] or ""
        admin.config_set(setting, value)
    try:
        yield
    finally:
        for setting, value in before.items():
            admin.config_set(setting, value)


@contextmanager
def replicating(admin: Redis) -> Iterator[None]:
    """The server as the replica of one that is away."""
    admin.replicaof("127.0.0.1", "1")
    try:
        yield
    finally:
        admin.replicaof("NO", "ONE")


USERS = {
    "wrong_password": (
        "nobody:hunter2@",
        "{redis} refuses the user or the password in REDIS_URL (WRONGPASS):"
        " correct them, or its ACL",
    ),
    "no_permission": (
        "narrow:hunter2@",
        "{redis} does not let the user in REDIS_URL run SET (NOPERM):"
        " give the user that right: deploy/valkey/users.acl has all that are needed",
    ),
}


@both
@pytest.mark.parametrize("code", USERS)
def test_what_a_server_says_of_a_user(
    code: str, fault_at: Fault, own: Valkey, admin: Redis
) -> None:
    user, line = USERS[code]
    fault = fault_at(own.url.replace("redis://", f"redis://{user}"))
    assert str(fault) == line.format(redis=f"Redis at 127.0.0.1:{own.port}")


@both
def test_a_user_without_the_right_to_our_keys(fault_at: Fault, own: Valkey, admin: Redis) -> None:
    url = own.url.replace("redis://", f"redis://fenced:{PASSWORD}@")
    assert fault_at(url).message == (
        f"Redis at 127.0.0.1:{own.port} does not let the user in REDIS_URL use a key of ours"
        " (NOPERM)"
    )


@both
def test_a_user_whose_scripts_may_not_use_our_keys(
    fault_at: Fault, own: Valkey, admin: Redis
) -> None:
    url = own.url.replace("redis://", f"redis://fenced:{PASSWORD}@")
    fault = fault_at(url, "EVAL", "return redis.call('GET', 'identity:x')", "0")
    assert fault.code == "no_permission"


@both
def test_a_redis_that_asks_for_a_password(fault_at: Fault, own: Valkey, admin: Redis) -> None:
    with configured(admin, requirepass="secret"):
        assert str(fault_at(own.url)) == (
            f"Redis at 127.0.0.1:{own.port} asks for a password, and REDIS_URL has none (NOAUTH):"
            " write redis://user:password@host:6379/0, or redis://:password@host:6379/0"
        )


@both
def test_a_database_that_there_is_not(fault_at: Fault, own: Valkey) -> None:
    assert str(fault_at(own.url.replace("/0", "/99"))) == (
        f"Redis at 127.0.0.1:{own.port} has no database of the number in REDIS_URL:"
        " correct the number at its end, or raise `databases` there"
    )


SETTINGS: dict[str, tuple[dict[str, str], str]] = {
    "full": (
        {"maxmemory": "1"},
        "{redis} is full (OOM): raise maxmemory, and see what `dlq list` holds:"
        " workers empty the queue meanwhile",
    ),
    "replicas_lost": (
        {"min_replicas_to_write": "1"},
        "{redis} has fewer replicas than it needs to take a job (NOREPLICAS):"
        " start them, or lower min-replicas-to-write",
    ),
    "too_many_clients": (
        {"maxclients": "1"},
        "{redis} has no connection to spare:"
        " raise maxclients, or run fewer processes: each takes 5 at most",
    ),
}


@both
@pytest.mark.parametrize("code", SETTINGS)
def test_what_a_server_in_trouble_says(
    code: str, fault_at: Fault, own: Valkey, admin: Redis
) -> None:
    settings, line = SETTINGS[code]
    with configured(admin, **settings):
        fault = fault_at(own.url)
    assert str(fault) == line.format(redis=f"Redis at 127.0.0.1:{own.port}")


@both
def test_a_replica(fault_at: Fault, own: Valkey, admin: Redis) -> None:
    with replicating(admin):
        assert str(fault_at(own.url)) == (
            f"Redis at 127.0.0.1:{own.port} is a replica, which takes no jobs (READONLY):"
            " point REDIS_URL to the primary, or to the sentinels"
        )


def test_a_replica_that_has_lost_its_primary(own: Valkey, admin: Redis) -> None:
    with configured(admin, replica_serve_stale_data="no"), replicating(admin):
        assert str(fault_of_threads(own.url, "GET", "x")) == (
            f"Redis at 127.0.0.1:{own.port} is a replica that has lost its primary (MASTERDOWN):"
            " point REDIS_URL to the primary, or to the sentinels"
        )


def test_a_redis_that_is_busy_with_a_script(own: Valkey, admin: Redis) -> None:
    def spin() -> None:
        with Redis.from_url(own.url) as client, pytest.raises(ResponseError, match="killed"):
            client.eval("while true do end", 0)

    with configured(admin, busy_reply_threshold="1"):
        thread = threading.Thread(target=spin)
        thread.start()
        with open_redis(own.url) as client:
            faults: list[StoreFailure] = []

            def busy() -> bool:
                try:
                    with translated_errors():
                        client.ping()
                except StoreFailure as fault:
                    faults.append(fault)
                return bool(faults)

            eventually(busy)
        admin.script_kill()
        thread.join(10)
    assert str(faults[0]) == (
        f"Redis at 127.0.0.1:{own.port} is busy with somebody's script (BUSY):"
        " wait, or end it by SCRIPT KILL"
    )
