"""What the doctor finds in the ledger."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from app.domain.durations import DAY
from app.ledger import server
from app.ledger.schema import head
from tests.doctor.deployment import Deployment, assert_is
from tests.support.postgres import Postgres
from tests.support.stores import leave_as_later, migrate_database


def test_a_database_that_was_never_migrated_is_wrong(
    deployment: Deployment, tmp_path: Path
) -> None:
    (tmp_path / "empty.db").touch()
    found = deployment.examine(DATABASE_URL=f"sqlite:///{tmp_path / 'empty.db'}")
    assert_is(found["database"], "wrong", "no revision", "migrate")
    assert_is(found["last event"], "warning", "not checked", "not migrated")


def test_a_database_of_a_later_version_is_a_warning(
    deployment: Deployment, migrated: Path, tmp_path: Path
) -> None:
    url = f"sqlite:///{shutil.copy(migrated, tmp_path / 'later.db')}"
    leave_as_later(url, since=head())
    found = deployment.examine(DATABASE_URL=url)["database"]
    assert_is(found, "warning", "at 9999, of a later version", "rollback")


def test_a_database_that_this_version_is_too_old_for_is_wrong(
    deployment: Deployment, migrated: Path, tmp_path: Path
) -> None:
    url = f"sqlite:///{shutil.copy(migrated, tmp_path / 'later.db')}"
    leave_as_later(url)
    found = deployment.examine(DATABASE_URL=url)["database"]
    assert_is(found, "wrong", "too old for (revision 9999)", "Deploy the release")


@pytest.fixture
def on_postgresql(deployment: Deployment, postgres: Postgres) -> Deployment:
    """The same with a ledger in PostgreSQL."""
    url = postgres.url(postgres.create_database())
    migrate_database(url)
    deployment.environment["DATABASE_URL"] = url
    return deployment


def test_the_servers_version_is_told(on_postgresql: Deployment) -> None:
    assert_is(on_postgresql.examine()["database"], "ok", "PostgreSQL 18.", "migrated to")


def test_a_server_that_is_too_old_is_wrong(
    on_postgresql: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "OLDEST", (1000,))
    assert_is(on_postgresql.examine()["database"], "wrong", "older than version 15", "Upgrade")


def test_live_sessions_with_a_test_key_are_wrong(deployment: Deployment) -> None:
    deployment.apply(int(time.time()), livemode=True)
    assert_is(deployment.examine()["key mode"], "wrong", "test key", "1 live and 0 test")


def test_test_sessions_alone_with_a_live_key_are_warned_about(deployment: Deployment) -> None:
    deployment.apply(int(time.time()))
    deployment.environment["STRIPE_API_KEY"] = "sk_live_PLANTED"
    assert_is(deployment.examine()["key mode"], "warning", "live-mode endpoint")
    deployment.apply(int(time.time()), livemode=True, session="vs_2")
    assert_is(deployment.examine()["key mode"], "ok", "1 live and 1 test")


def test_a_ledger_without_events_for_a_day_is_a_warning(deployment: Deployment) -> None:
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
