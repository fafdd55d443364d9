"""The documented subscriber keeps a team's `users` table right, whatever comes twice or late."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Engine, create_engine, text

from app.notifications import Permanent, ReferenceChanged, Retry
from app.notifications.message import sample
from app.notifications.subscriber import load
from tests.notifications import example_subscriber
from tests.notifications.example_subscriber import on_reference_changed
from tests.notifications.receiver import CHANGED

TABLE = """
CREATE TABLE users (
    id TEXT PRIMARY KEY,
    identity_status TEXT,
    identity_next_step TEXT,
    identity_version INTEGER NOT NULL DEFAULT 0
)
"""


@pytest.fixture
def users(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """The team's own database, with one user."""
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        connection.execute(text(TABLE))
        connection.execute(text("INSERT INTO users (id) VALUES ('user-1')"))
    monkeypatch.setattr(example_subscriber, "engine", engine)
    yield engine
    engine.dispose()


def version(number: int, status: str = "verified") -> ReferenceChanged:
    return replace(CHANGED, standing=CHANGED.standing._replace(version=number, status=status))


def user(engine: Engine) -> tuple[object, ...]:
    with engine.connect() as connection:
        row = connection.execute(text("SELECT * FROM users")).one()
    return tuple(row)


def test_the_documented_subscriber_can_be_loaded() -> None:
    path = f"{example_subscriber.__name__}:on_reference_changed"
    assert load(path) is on_reference_changed


def test_a_change_is_written_to_the_user(users: Engine) -> None:
    on_reference_changed(CHANGED)
    assert user(users) == ("user-1", "verified", "none", 3)


def test_messages_twice_and_in_any_order_leave_the_newest(users: Engine) -> None:
    messages = [version(n, f"status-{n}") for n in range(1, 6)] * 2
    random.Random(7).shuffle(messages)
    for message in messages:
        on_reference_changed(message)
    assert user(users) == ("user-1", "status-5", "none", 5)


def test_a_user_that_is_not_there_is_for_somebody_to_look_at(users: Engine) -> None:
    with pytest.raises(Permanent):
        on_reference_changed(replace(CHANGED, client_reference_id="nobody"))


def test_a_database_that_is_away_is_tried_again(users: Engine) -> None:
    with users.begin() as connection:
        connection.execute(text("DROP TABLE users"))
    with pytest.raises(Retry):
        on_reference_changed(CHANGED)


def test_the_sample_changes_nobody(users: Engine) -> None:
    on_reference_changed(sample(livemode=False))
    assert user(users) == ("user-1", None, None, 0)
