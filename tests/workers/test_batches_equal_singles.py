"""Batches leave the same ledger as the same events one by one, in every table."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import Engine, select
from starlette.datastructures import Secret
from structlog.testing import capture_logs

from app.batches import batches
from app.configuration.settings import Settings
from app.domain.event import SessionEvent
from app.ledger.tables import metadata
from app.local.valkey import Valkey
from app.queue.model import EVENTS, MAX_BATCH, Call
from tests.faults.traffic import traffic
from tests.support.postgres import Postgres
from tests.support.stores import migrate_database
from tests.support.workers import NOW, offline
from workers.context import Context
from workers.jobs import call

LIVES = 48
SEED = 20


@pytest.fixture(params=["sqlite", "postgresql"])
def make_context(
    request: pytest.FixtureRequest, redis: Redis, valkey: Valkey, migrated: Path, tmp_path: Path
) -> Iterator[Callable[[str], Context]]:
    """Makes contexts of a ledger each, under a policy that asks for every kind of effect."""
    with ExitStack() as stack:

        def url_of(name: str) -> str:
            if request.param == "sqlite":
                return f"sqlite:///{shutil.copy(migrated, tmp_path / name)}"
            server: Postgres = request.getfixturevalue("postgres")
            database = server.create_database()
            stack.callback(server.drop_database, database)
            migrate_database(server.url(database))
            return server.url(database)

        def make(name: str) -> Context:
            settings = Settings(
                stripe_api_key=Secret("sk_test_123"),
                redis_url=Secret(valkey.url),
                database_url=Secret(url_of(name)),
                notify_stream="standings",
                max_attempts=2,
            )
            context = offline(Context.of(settings), NOW)
            stack.callback(context.stores.close)
            return context

        yield make


def rows_of(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """Each table's rows, without what depends on the number of transactions."""
    found = {}
    with engine.connect() as connection:
        for table in metadata.sorted_tables:
            left_out = {"updated_at"} | ({"id"} if table.name == "timeline" else set())
            columns = [column for column in table.columns if column.name not in left_out]
            rows = [dict(row) for row in connection.execute(select(*columns)).mappings()]
            found[table.name] = sorted(rows, key=repr)
    return found


def batches_of_events(seed: int) -> list[list[Call]]:
    """The events of whole lives, some of them in two batches, in no order at all."""
    deliveries = traffic(LIVES, seed).deliveries
    random.Random(seed).shuffle(deliveries)
    found = []
    for batch in batches(deliveries, MAX_BATCH):
        # The queue holds an event once, so that no batch has it twice.
        bodies = {event.id: json.loads(event.body) for event in batch}
        events = [SessionEvent.parse(body) for body in bodies.values()]
        found.append([Call(EVENTS.function, [event.pack()]) for event in events if event])
    return found


def test_batches_leave_the_same_ledger_as_the_same_events_one_by_one(
    make_context: Callable[[str], Context],
) -> None:
    together, alone = make_context("together.db"), make_context("alone.db")
    shuffled = batches_of_events(SEED)
    assert len(shuffled) > 4
    with capture_logs():
        for batch in shuffled:
            call(batch, together)
            for one in batch:
                call([one], alone)
    found, expected = rows_of(together.stores.engine), rows_of(alone.stores.engine)
    for name in expected:
        assert found[name] == expected[name], name
    # What is compared is not nothing.
    full = {name for name, rows in expected.items() if rows}
    assert full >= {"events", "sessions", "attempts", "standings", "timeline", "effects"}
    kinds = {effect["kind"] for effect in expected["effects"]}
    assert kinds >= {"notify", "cancel", "recheck"}
