"""What the doctor says of stores that answer and take no writes."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from redis import Redis

from app.local.valkey import Valkey, free_port
from tests.doctor.deployment import Deployment, assert_is
from tests.support.postgres import Postgres
from tests.support.stores import migrate_database


@pytest.fixture
def server(redis: Redis) -> Iterator[Redis]:
    """Redis, which is a primary with its old configuration after the test."""
    names = ("maxmemory", "min-replicas-to-write", "replica-read-only")
    before = {name: redis.config_get(name)[name] for name in names}
    yield redis
    for name, value in before.items():
        redis.config_set(name, value or "")
    redis.execute_command("REPLICAOF", "NO", "ONE")


@pytest.fixture
def database(deployment: Deployment, postgres: Postgres) -> str:
    """The deployment's ledger, a PostgreSQL database; its name."""
    name = postgres.create_database()
    deployment.environment["DATABASE_URL"] = postgres.url(name)
    migrate_database(postgres.url(name))
    return name


def administer(postgres: Postgres, statement: str) -> None:
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(statement.encode())


def test_stores_that_take_writes_are_ok(deployment: Deployment) -> None:
    found = deployment.examine()
    assert_is(found["redis writes"], "ok", "undone")
    assert_is(found["database writes"], "ok", "rolled back")
    assert deployment.redis.keys("identity:*") == []


def test_a_database_that_is_read_only_is_wrong_though_it_answers(
    deployment: Deployment, postgres: Postgres, database: str
) -> None:
    assert_is(deployment.examine()["database writes"], "ok")
    administer(postgres, f'ALTER DATABASE "{database}" SET default_transaction_read_only = on')
    found = deployment.examine()
    assert_is(found["database"], "ok")
    assert_is(found["database writes"], "wrong", "none is taken", "25006", "to the primary")


def test_a_user_who_may_only_read_is_wrong(
    deployment: Deployment, postgres: Postgres, database: str
) -> None:
    with psycopg.connect(postgres.url(database), autocommit=True) as connection:
        connection.execute(b"CREATE ROLE reader LOGIN")
        connection.execute(b"GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
    try:
        url = postgres.url(database).replace("postgres@", "reader@")
        found = deployment.examine(DATABASE_URL=url)
    finally:
        postgres.drop_database(database)
        administer(postgres, "DROP ROLE reader")
    assert_is(found["database"], "ok")
    assert_is(found["database writes"], "wrong", "42501", "GRANT")


def test_a_database_that_is_away_is_told_once(deployment: Deployment) -> None:
    port = free_port()
    found = deployment.examine(DATABASE_URL=f"postgresql://u:PLANTED@127.0.0.1:{port}/x")
    assert_is(found["database"], "wrong")
    assert_is(found["database writes"], "warning", "not checked")


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [("maxmemory", "1", "OOM"), ("min-replicas-to-write", "1", "NOREPLICAS")],
)
def test_a_redis_that_refuses_writes_is_wrong_though_it_answers(
    deployment: Deployment, server: Redis, setting: str, value: str, told: str
) -> None:
    server.config_set(setting, value)
    found = deployment.examine()
    assert_is(found["redis"], "ok")
    assert_is(found["redis writes"], "wrong", "none is taken", told)


@pytest.mark.parametrize(
    ("read_only", "told"), [("yes", "takes no jobs (READONLY)"), ("no", "what it takes is lost")]
)
def test_a_replica_is_wrong_whether_it_takes_writes_or_not(
    deployment: Deployment, server: Redis, read_only: str, told: str
) -> None:
    server.config_set("replica-read-only", read_only)
    server.execute_command("REPLICAOF", "127.0.0.1", free_port())
    assert_is(deployment.examine()["redis writes"], "wrong", told, "primary")


def test_a_redis_user_who_may_only_read_is_wrong(deployment: Deployment, valkey: Valkey) -> None:
    deployment.redis.acl_setuser(
        "reader",
        enabled=True,
        passwords=["+PLANTED"],
        keys=["*"],
        commands=["+@read", "+@connection", "+info"],
    )
    try:
        found = deployment.examine(REDIS_URL=f"redis://reader:PLANTED@127.0.0.1:{valkey.port}")
    finally:
        deployment.redis.acl_deluser("reader")
    assert_is(found["redis writes"], "wrong", "none is taken", "run SET (NOPERM)")
