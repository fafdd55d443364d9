"""What the doctor finds in a deployment of real parts."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from app.cli.local.valkey import Valkey, free_port
from app.domain.event import EVENT_TYPES
from app.ledger.engine import open_engine
from app.ledger.migrate import upgrade
from app.operations.checks.finding import Finding
from app.operations.checks.patient import address
from app.operations.checks.redis_server import judge_version
from app.operations.doctor import CHECKS, run_all
from app.queue.jobs import JobQueue
from app.queue.model import EFFECTS, EVENTS
from tests.operations.deployment import ENDPOINT, Deployment
from tests.postgres import postgres_server
from tests.queue.places import new
from tests.sandbox.processes import Sandbox, running

DAY = 86_400


@pytest.fixture(scope="module")
def process() -> Iterator[Sandbox]:
    """Stripe, for all tests of this file."""
    with running("--seed", "7") as sandbox:
        yield sandbox


@pytest.fixture
def deployment(
    process: Sandbox, valkey: Valkey, redis: Redis, migrated: Path, tmp_path: Path
) -> Iterator[Deployment]:
    """Settings that name an empty Redis, an empty SQLite ledger and Stripe."""
    environment = {
        "STRIPE_WEBHOOK_SECRET": "whsec_PLANTED",
        "STRIPE_API_KEY": "sk_test_PLANTED",
        "STRIPE_API_BASE": process.url,
        "REDIS_URL": valkey.url,
        "DATABASE_URL": f"sqlite:///{shutil.copy(migrated, tmp_path / 'ledger.db')}",
        "API_TOKENS": "PLANTED-token-of-the-backend",
    }
    found = Deployment(redis, process, environment)
    yield found
    process.control("DELETE", "/faults")
    for id in found.endpoints:
        process.client().v1.webhook_endpoints.delete(id)


@pytest.fixture
def redis_config(redis: Redis) -> Iterator[Redis]:
    """Redis, whose configuration is as before after the test."""
    before = redis.config_get("maxmemory*") | redis.config_get("appendonly")
    yield redis
    for name in ("maxmemory", "maxmemory-policy", "appendonly"):
        redis.config_set(name, before[name] or "")


def assert_is(finding: Finding, state: str, *told: str) -> None:
    line = f"{finding.told} {finding.do}"
    assert finding.state == state, line
    for part in told:
        assert part in line
    assert state == "ok" or finding.do  # what to do is always said
    assert "PLANTED" not in line


def test_a_deployment_that_is_well_is_ok_but_for_sqlite(deployment: Deployment) -> None:
    deployment.well()
    found = deployment.examine()
    assert [name for name, _ in CHECKS] == list(found)
    assert {name for name, finding in found.items() if finding.state != "ok"} == {"database"}
    assert_is(found["database"], "warning", "SQLite", "PostgreSQL")


def test_on_postgresql_all_is_ok(deployment: Deployment) -> None:
    with postgres_server() as server:
        url = server.url(server.create_database())
        engine = open_engine(url)
        upgrade(engine)
        engine.dispose()
        deployment.environment["DATABASE_URL"] = url
        deployment.well()
        found = deployment.examine()
    assert {finding.state for finding in found.values()} == {"ok"}


def test_the_doctor_changes_nothing(deployment: Deployment, tmp_path: Path) -> None:
    JobQueue(deployment.redis, EVENTS).accept(new("evt_1"))
    before = {key: deployment.redis.dump(key) for key in deployment.redis.scan_iter()}
    absent = tmp_path / "absent.db"
    found = deployment.examine(DATABASE_URL=f"sqlite:///{absent}")
    assert {key: deployment.redis.dump(key) for key in deployment.redis.scan_iter()} == before
    assert_is(found["database"], "wrong", "no such SQLite file", "migrate")
    assert not absent.exists()


# Settings


def test_every_wrong_setting_is_named_and_the_others_are_still_used(deployment: Deployment) -> None:
    deployment.well()
    found = deployment.examine(
        STRIPE_WEBHOOK_SECRET="", REDIS_URL="PLANTED", MAX_ATTEMPTS="-PLANTED"
    )
    assert_is(found["settings"], "wrong", "STRIPE_WEBHOOK_SECRET", "REDIS_URL", "MAX_ATTEMPTS")
    assert_is(found["redis"], "warning", "not checked: REDIS_URL is wrong")
    assert_is(found["webhook endpoint"], "ok")
    assert_is(found["last event"], "ok")


def test_what_is_switched_off_is_told_and_is_not_wrong(deployment: Deployment) -> None:
    found = deployment.examine(API_TOKENS="", MAX_ATTEMPTS="3")
    assert_is(found["settings"], "ok", "API_TOKENS", "NOTIFY_URL", "REDACT_AFTER_DAYS")
    assert "MAX_ATTEMPTS" not in found["settings"].told


def test_sqlite_on_a_dyno_is_wrong(deployment: Deployment) -> None:
    found = deployment.examine(DYNO="web.1")
    assert_is(found["settings"], "wrong", "DATABASE_URL is SQLite")


def test_no_secret_is_told_where_everything_is_away(deployment: Deployment) -> None:
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
    ("url", "told"),
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
def test_an_address_is_told_without_user_and_password(url: str, told: str) -> None:
    assert address(url) == told


# Redis


def test_a_redis_that_evicts_is_wrong(deployment: Deployment, redis_config: Redis) -> None:
    redis_config.config_set("maxmemory-policy", "allkeys-lru")
    assert_is(deployment.examine()["redis eviction"], "warning", "allkeys-lru", "noeviction")
    redis_config.config_set("maxmemory", "100mb")
    assert_is(deployment.examine()["redis eviction"], "wrong", "allkeys-lru", "noeviction")


def test_a_redis_that_is_nearly_full_is_told(deployment: Deployment, redis_config: Redis) -> None:
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


def test_a_redis_that_refuses_info_is_told_so(deployment: Deployment, valkey: Valkey) -> None:
    deployment.redis.acl_setuser(
        "narrow", enabled=True, passwords=["+PLANTED"], keys=["*"], commands=["+ping"]
    )
    try:
        url = f"redis://narrow:PLANTED@127.0.0.1:{valkey.port}/0"
        found = deployment.examine(REDIS_URL=url)
    finally:
        deployment.redis.acl_deluser("narrow")
    assert_is(found["redis"], "wrong", "NoPermissionError", "right")
    assert_is(found["queue"], "warning", "not checked")


@pytest.mark.parametrize(
    ("told", "state"),
    [
        ({"redis_version": "6.2.14"}, "wrong"),
        ({"redis_version": "7.0.0"}, "ok"),
        ({"redis_version": "10.1"}, "ok"),
        ({"redis_version": "6.0", "valkey_version": "8.0.1"}, "ok"),
        ({}, "wrong"),
    ],
)
def test_redis_has_to_be_7_or_valkey(told: dict[str, str], state: str) -> None:
    assert judge_version(told, "here").state == state


# The work


def test_a_queue_without_workers_is_wrong(deployment: Deployment) -> None:
    assert_is(deployment.examine()["workers"], "wrong", "events and effects", "python -m workers")


def test_a_worker_that_was_killed_does_not_count(deployment: Deployment) -> None:
    deployment.start_workers()
    for key in deployment.redis.keys("rq:worker:*"):
        deployment.redis.delete(key)  # as it expires a minute after the last sign of life
    assert_is(deployment.examine()["workers"], "wrong")


def test_suspended_workers_are_warned_about(deployment: Deployment) -> None:
    deployment.start_workers()
    deployment.redis.set("rq:suspended", 1)
    assert_is(deployment.examine()["workers"], "warning", "rq resume")


def test_dead_letters_are_counted_with_the_command_that_lists_them(deployment: Deployment) -> None:
    jobs = JobQueue(deployment.redis, EFFECTS)
    jobs.accept(new("effect-1"))
    (claimed,) = jobs.claim("lease", 60, 1)
    jobs.bury(claimed, "permanent_error", "Oops", "PLANTED")
    found = deployment.examine()["dead letters"]
    assert_is(found, "warning", "1 of effects", "dlq list --queue effects")


def test_a_job_that_waits_for_long_is_wrong(deployment: Deployment) -> None:
    JobQueue(deployment.redis, EVENTS).accept(new("evt_1"))
    assert_is(deployment.examine()["queue"], "ok", "1 events queued")
    deployment.redis.hset("rq:job:evt_1", "enqueued_at", "2020-01-01T00:00:00.000000Z")
    assert_is(deployment.examine()["queue"], "wrong", "1 events wait")


def test_a_lease_that_nobody_takes_back_is_wrong(deployment: Deployment) -> None:
    jobs = JobQueue(deployment.redis, EVENTS)
    jobs.accept(new("evt_1"))
    jobs.claim("lease", 60, 1)
    assert_is(deployment.examine()["clock process"], "ok")
    deployment.redis.zincrby("rq:wip:events", -200, "evt_1:lease")
    assert_is(deployment.examine()["clock process"], "wrong", "2 min", "python -m workers")


def test_a_due_job_that_nobody_queues_is_wrong(deployment: Deployment) -> None:
    JobQueue(deployment.redis, EVENTS).accept(new("evt_1", delay=10))
    assert_is(deployment.examine()["clock process"], "ok")
    deployment.redis.zincrby("rq:scheduled:events", -200, "evt_1")
    assert_is(deployment.examine()["clock process"], "wrong", "3 min")


# The ledger


def test_a_database_that_was_never_migrated_is_wrong(
    deployment: Deployment, tmp_path: Path
) -> None:
    (tmp_path / "empty.db").touch()
    found = deployment.examine(DATABASE_URL=f"sqlite:///{tmp_path / 'empty.db'}")
    assert_is(found["database"], "wrong", "no revision", "migrate")
    assert_is(found["last event"], "warning", "not checked", "not migrated")


def test_live_sessions_with_a_test_key_are_wrong(deployment: Deployment) -> None:
    deployment.apply(int(time.time()), livemode=True)
    assert_is(deployment.examine()["key mode"], "wrong", "test key", "1 live and 0 test")


def test_test_sessions_alone_with_a_live_key_are_warned_about(deployment: Deployment) -> None:
    deployment.apply(int(time.time()))
    deployment.environment["STRIPE_API_KEY"] = "sk_live_PLANTED"
    assert_is(deployment.examine()["key mode"], "warning", "live-mode endpoint")
    deployment.apply(int(time.time()), livemode=True, session="vs_2")
    assert_is(deployment.examine()["key mode"], "ok", "1 live and 1 test")


def test_a_ledger_that_hears_nothing_for_a_day_is_warned_about(deployment: Deployment) -> None:
    assert_is(deployment.examine()["last event"], "warning", "none has ever")
    deployment.apply(int(time.time()) - 2 * DAY)
    assert_is(deployment.examine()["last event"], "warning", "48 h ago", "backfill")
    deployment.apply(int(time.time()) - DAY // 2)
    assert_is(deployment.examine()["last event"], "ok", "12 h ago")


def test_a_redaction_that_stripe_does_not_finish_is_wrong(deployment: Deployment) -> None:
    deployment.apply(int(time.time()) - 3 * DAY, redaction="processing")
    assert_is(deployment.examine()["redactions"], "ok")
    deployment.apply(int(time.time()) - 5 * DAY, redaction="processing", session="vs_2")
    assert_is(deployment.examine()["redactions"], "wrong", "1 not finished")


# Clocks


@pytest.mark.parametrize(("late", "state"), [(30, "ok"), (90, "wrong"), (-90, "wrong")])
def test_a_host_whose_clock_is_a_minute_off_is_wrong(
    deployment: Deployment, late: int, state: str
) -> None:
    deployment.now = lambda: time.time() - late
    found = deployment.examine()
    for name in ("clock against Redis", "clock against Stripe"):
        told = "ahead of" if late > 0 else "behind"
        assert_is(found[name], state, *([told, "NTP"] if state == "wrong" else []))


# Stripe


def test_without_a_key_one_line_says_that_stripe_is_not_checked(deployment: Deployment) -> None:
    found = deployment.examine(STRIPE_API_KEY="")
    assert_is(found["stripe"], "warning", "STRIPE_API_KEY is not set")
    assert not {"stripe key", "webhook endpoint", "clock against Stripe"} & set(found)


@pytest.mark.parametrize(
    ("status", "do"), [(401, "set a new one"), (403, "right to read and write Identity")]
)
def test_a_key_that_stripe_refuses_is_wrong(deployment: Deployment, status: int, do: str) -> None:
    path = "/v1/identity/verification_sessions"
    deployment.sandbox.control("POST", "/faults", {"path": path, "status": status, "times": 9})
    assert_is(deployment.examine()["stripe key"], "wrong", str(status), do)


def test_a_stripe_that_is_out_of_reach_spoils_its_own_checks_only(deployment: Deployment) -> None:
    deployment.well()
    found = deployment.examine(STRIPE_API_BASE=f"http://127.0.0.1:{free_port()}")
    assert_is(found["stripe key"], "wrong", "out of reach")
    assert_is(found["webhook endpoint"], "warning", "not checked")
    for name in ("redis", "workers", "last event", "key mode"):
        assert_is(found[name], "ok")


def test_the_key_for_verified_data_is_looked_at(deployment: Deployment) -> None:
    for key, state, told in (
        ("", "ok", "unrestricted"),
        ("rk_test_PLANTED", "ok", "takes it"),
        ("sk_test_PLANTED2", "warning", "unrestricted"),
        ("rk_live_PLANTED", "wrong", "two modes"),
    ):
        found = deployment.examine(STRIPE_RESTRICTED_KEY=key)
        assert_is(found["restricted key"], state, told)


def test_an_endpoint_that_is_not_there_is_wrong(deployment: Deployment) -> None:
    deployment.add_endpoint("https://identity.example/other")
    found = deployment.examine()["webhook endpoint"]
    assert_is(found, "wrong", "none of the 1 at Stripe ends in /webhooks/stripe")


def test_a_disabled_endpoint_is_wrong(deployment: Deployment) -> None:
    deployment.add_endpoint()
    deployment.change_endpoint(disabled=True)
    assert_is(deployment.examine()["webhook endpoint"], "wrong", "disabled", "Enable it")


@pytest.mark.parametrize("missing", sorted(EVENT_TYPES))
def test_an_endpoint_that_lacks_a_type_is_wrong(deployment: Deployment, missing: str) -> None:
    deployment.add_endpoint(enabled_events=sorted(EVENT_TYPES - {missing}))
    assert_is(deployment.examine()["webhook endpoint"], "wrong", f"does not send {missing}")


def test_an_endpoint_of_all_types_needs_redacted_by_name(deployment: Deployment) -> None:
    redacted = "identity.verification_session.redacted"
    deployment.add_endpoint(enabled_events=["*"])
    assert_is(deployment.examine()["webhook endpoint"], "wrong", redacted, "by name")
    deployment.change_endpoint(enabled_events=["*", redacted])
    assert_is(deployment.examine()["webhook endpoint"], "ok")


def test_an_address_with_a_slash_too_many_is_wrong(deployment: Deployment) -> None:
    deployment.add_endpoint(ENDPOINT + "/")
    assert_is(deployment.examine()["webhook endpoint"], "wrong", "slash")


def test_of_two_endpoints_that_end_alike_both_are_looked_at(deployment: Deployment) -> None:
    deployment.add_endpoint()
    deployment.add_endpoint("https://staging.example/webhooks/stripe", enabled_events=["*"])
    assert_is(deployment.examine()["webhook endpoint"], "wrong", "staging.example")
    deployment.change_endpoint(disabled=True)
    assert_is(deployment.examine()["webhook endpoint"], "ok", "identity.example")


def test_an_endpoint_newer_than_this_product_is_warned_about(deployment: Deployment) -> None:
    deployment.add_endpoint(api_version="2020-08-27")
    assert_is(deployment.examine()["webhook endpoint"], "ok", "2020-08-27")
    deployment.add_endpoint(api_version="2099-01-01.oak")
    assert_is(deployment.examine()["webhook endpoint"], "warning", "2099-01-01.oak", "Update")


def test_a_key_that_may_not_see_endpoints_is_told_which_right_it_needs(
    deployment: Deployment,
) -> None:
    fault = {"path": "/v1/webhook_endpoints", "status": 403}
    deployment.sandbox.control("POST", "/faults", fault)
    assert_is(deployment.examine()["webhook endpoint"], "warning", "right to read Webhook")


# The round itself


def test_servers_that_hang_are_told_so_in_time(deployment: Deployment) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        began = time.monotonic()
        found = deployment.examine(
            within=1,
            REDIS_URL=f"redis://:PLANTED@127.0.0.1:{port}",
            DATABASE_URL=f"postgresql://u:PLANTED@127.0.0.1:{port}/x",
            STRIPE_API_BASE=f"http://127.0.0.1:{port}",
        )
        took = time.monotonic() - began
    assert took < 3
    for name in ("redis", "database", "stripe key"):
        assert_is(found[name], "wrong", "no answer within 1 s")
    assert_is(found["settings"], "ok")


def test_a_fault_of_one_check_is_told_by_its_class_and_stops_no_other() -> None:
    def broken() -> Finding:
        raise ZeroDivisionError("PLANTED")

    found = run_all([("a", broken), ("b", lambda: Finding("b", "ok", "well"))], 5)
    assert_is(found[0], "wrong", "ZeroDivisionError")
    assert_is(found[1], "ok", "well")
