"""An upgrade is undone: this release works on a ledger that a later one has migrated."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from redis import Redis

from app.ledger.schema import head
from app.ledger.tables import metadata
from app.local.valkey import Valkey
from tests.support.deployment import Deployment, letter, opened_deployment
from tests.support.events import OPENED
from tests.support.stores import leave_as_later, migrated_file


def migrate_as_a_later_release(database: Path) -> None:
    """All that CONTRIBUTING.md allows a migration: a ledger with more in it than this one knows."""
    with closing(sqlite3.connect(database)) as connection, connection:
        for table in metadata.sorted_tables:
            connection.execute(f"ALTER TABLE {table.name} ADD COLUMN later_null TEXT")
            connection.execute(
                f"ALTER TABLE {table.name} ADD COLUMN later_default BIGINT NOT NULL DEFAULT 7"
            )
        connection.execute("CREATE TABLE later (id TEXT PRIMARY KEY)")
        connection.execute("CREATE INDEX ix_later ON standings (later_null)")


@pytest.fixture
def undone(redis: Redis, valkey: Valkey, tmp_path: Path) -> Iterator[Deployment]:
    """A ledger with a user in it, migrated by a later release, and an empty queue."""
    database = migrated_file(tmp_path)
    with opened_deployment(valkey.url, f"sqlite:///{database}") as before:
        before.apply(letter("evt_before", "processing", "user-1"))
    redis.flushall()
    migrate_as_a_later_release(database)
    leave_as_later(f"sqlite:///{database}", since=head())
    with opened_deployment(valkey.url, f"sqlite:///{database}") as deployment:
        yield deployment


def test_events_are_applied_and_standings_read(undone: Deployment) -> None:
    undone.events.enqueue_all(
        [letter("evt_1", "verified", "user-1", 60), letter("evt_2", "processing", "user-2")]
    )
    worker = undone.worker()
    while worker.run_once():
        pass
    assert undone.dead == set()
    assert undone.standing("user-1")[0] == "verified"
    assert undone.standing("user-2")[0] == "processing"


def test_effects_are_asked_for_and_ended(undone: Deployment) -> None:
    undone.apply(letter("evt_1", "processing", "user-2"))
    due = undone.ledger.effects_due_unsent(OPENED + 2_000_000, 10)
    (effect,) = [one for one in due if one.id.startswith("evt_1")]
    undone.ledger.mark_effects([effect.id], "done", OPENED + 2_000_000)
    assert undone.ledger.effect_status(effect.id) == "done"
