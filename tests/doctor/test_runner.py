"""The doctor as a whole: on real parts, with servers that hang, and with a bug in a check."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from app.doctor.result import Finding
from app.doctor.runner import CHECKS, run_all
from app.queue.model import EVENTS
from app.queue.transitions import JobQueue
from tests.doctor.deployment import Deployment, assert_is
from tests.support.places import new
from tests.support.postgres import Postgres
from tests.support.stores import migrate_database


def test_a_deployment_that_is_well_is_ok_but_for_sqlite(deployment: Deployment) -> None:
    deployment.complete()
    found = deployment.examine()
    assert [name for name, _ in CHECKS] == list(found)
    assert {name for name, finding in found.items() if finding.state != "ok"} == {"database"}
    assert_is(found["database"], "warning", "SQLite", "PostgreSQL")


def test_on_postgresql_all_is_ok(deployment: Deployment, postgres: Postgres) -> None:
    deployment.environment["DATABASE_URL"] = postgres.url(postgres.create_database())
    migrate_database(deployment.environment["DATABASE_URL"])
    deployment.complete()
    found = deployment.examine()
    assert {finding.state for finding in found.values()} == {"ok"}


def test_the_doctor_changes_nothing(deployment: Deployment, tmp_path: Path) -> None:
    JobQueue(deployment.redis, EVENTS).enqueue(new("evt_1"))
    before = {key: deployment.redis.dump(key) for key in deployment.redis.scan_iter()}
    absent = tmp_path / "absent.db"
    found = deployment.examine(DATABASE_URL=f"sqlite:///{absent}")
    assert {key: deployment.redis.dump(key) for key in deployment.redis.scan_iter()} == before
    assert_is(found["database"], "wrong", "no such SQLite file", "migrate")
    assert not absent.exists()


def test_servers_that_hang_are_reported_in_time(deployment: Deployment) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        began = time.monotonic()
        found = deployment.examine(
            timeout=1,
            REDIS_URL=f"redis://:PLANTED@127.0.0.1:{port}",
            DATABASE_URL=f"postgresql://u:PLANTED@127.0.0.1:{port}/x",
            STRIPE_API_BASE=f"http://127.0.0.1:{port}",
        )
        took = time.monotonic() - began
    assert took < 3
    for name in ("redis", "database", "stripe key"):
        assert_is(found[name], "wrong", "no answer within 1 s")
    assert_is(found["settings"], "ok")


def test_a_bug_in_one_check_is_reported_by_its_class_and_stops_no_other() -> None:
    def broken() -> Finding:
        raise ZeroDivisionError("PLANTED")

    found = run_all([("a", broken), ("b", lambda: Finding("b", "ok", "well"))], 5)
    assert_is(found[0], "wrong", "ZeroDivisionError")
    assert_is(found[1], "ok", "well")
