"""What the doctor says of settings, and what it never quotes of them."""

from __future__ import annotations

import pytest

from app.configuration.addresses import describe_address
from app.local.valkey import free_port
from tests.doctor.deployment import Deployment, assert_is


def test_every_wrong_setting_is_named_and_the_others_are_still_used(deployment: Deployment) -> None:
    deployment.complete()
    found = deployment.examine(
        STRIPE_WEBHOOK_SECRET="", REDIS_URL="PLANTED", MAX_ATTEMPTS="-PLANTED"
    )
    assert_is(found["settings"], "wrong", "STRIPE_WEBHOOK_SECRET", "REDIS_URL", "MAX_ATTEMPTS")
    assert_is(found["redis"], "warning", "not checked: REDIS_URL is wrong")
    assert_is(found["webhook endpoint"], "ok")
    assert_is(found["last event"], "ok")


def test_what_is_switched_off_is_reported_and_is_not_wrong(deployment: Deployment) -> None:
    found = deployment.examine(API_TOKENS="", MAX_ATTEMPTS="3")
    assert_is(found["settings"], "ok", "API_TOKENS", "NOTIFY_URL", "REDACT_AFTER_DAYS")
    assert "MAX_ATTEMPTS" not in found["settings"].message


def test_sqlite_on_a_dyno_is_wrong(deployment: Deployment) -> None:
    found = deployment.examine(DYNO="web.1")
    assert_is(found["settings"], "wrong", "DATABASE_URL is SQLite")


def test_no_secret_is_shown_if_everything_is_away(deployment: Deployment) -> None:
    port = free_port()
    found = deployment.examine(
        STRIPE_API_KEY="sk_live_PLANTED",
        STRIPE_RESTRICTED_KEY="rk_live_PLANTED",
        STRIPE_API_BASE=f"http://PLANTED:PLANTED@127.0.0.1:{port}",
        REDIS_URL=f"redis://PLANTED:PLANTED@127.0.0.1:{port}/0",
        DATABASE_URL=f"postgresql://PLANTED:PLANTED@127.0.0.1:{port}/PLANTED",
    )
    for name in ("redis", "database", "stripe key", "restricted key"):
        assert_is(found[name], "wrong")
    assert "PLANTED" not in str(found)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://127.0.0.1:6379/0", "127.0.0.1:6379"),
        ("rediss://:pass@redis.example:6380", "redis.example:6380"),
        ("redis://:pa@ss@redis.example", "redis.example"),
        ("redis://user:12/3@redis.example", "its server"),
        ("unix:///run/redis.sock?password=pass", "a socket"),
        ("postgres://user:pass@db.example:5432/name?password=pass", "db.example:5432"),
        ("postgresql://user@/name?host=/run/postgres", "a socket"),
        ("sqlite:///identity.db", "SQLite file identity.db"),
    ],
)
def test_an_address_is_shown_without_user_and_password(url: str, shown: str) -> None:
    assert describe_address(url) == shown


def test_a_callback_without_its_secret_is_wrong_and_stops_no_other_check(
    deployment: Deployment,
) -> None:
    for secret in ("", "PLANTED"):
        found = deployment.examine(NOTIFY_URL="https://hook.example/", NOTIFY_SECRET=secret)
        assert_is(found["settings"], "wrong", "NOTIFY_SECRET")
        assert_is(found["redis"], "ok")


def test_a_ledger_that_is_not_named_is_asked_for_and_not_looked_at(deployment: Deployment) -> None:
    found = deployment.examine(DATABASE_URL="")
    assert_is(found["settings"], "wrong", "DATABASE_URL is not set: the ledger, as postgresql://")
    for name in ("database", "last event"):
        assert_is(found[name], "warning", "not checked: DATABASE_URL is not set")
