"""The documented receiver, behind a real server, called by the real callback."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import uvicorn
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import StaticPool
from starlette.datastructures import Secret

from app.local.valkey import free_port
from app.notifications.addresses import ReceiverUnavailable
from app.notifications.callback import Callback
from tests.notifications import example_receiver
from tests.notifications.receiver import CHANGED, OLD_SECRET, SECRET
from tests.support.waiting import eventually


@pytest.fixture
def users(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """The team's own database, with one user."""
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    with engine.begin() as connection:
        connection.execute(
            text("CREATE TABLE users (id TEXT, identity_status TEXT, identity_version INTEGER)")
        )
        connection.execute(text("INSERT INTO users VALUES ('user-1', NULL, 0)"))
    monkeypatch.setattr(example_receiver, "engine", engine)
    monkeypatch.setenv("NOTIFY_SECRET", SECRET)
    yield engine
    engine.dispose()


@pytest.fixture
def url(users: Engine) -> Iterator[str]:
    """Where the team's backend listens."""
    port = free_port()
    config = uvicorn.Config(
        example_receiver.app, "127.0.0.1", port, log_level="critical", ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    eventually(lambda: server.started)
    yield f"http://127.0.0.1:{port}/identity-hook"
    server.should_exit = True
    thread.join()


def callback_to(url: str, secret: str = SECRET) -> Callback:
    return Callback(url, [Secret(secret)], True, time.time)


def user(engine: Engine) -> tuple[object, ...]:
    with engine.connect() as connection:
        return tuple(connection.execute(text("SELECT * FROM users")).one())


def test_a_change_is_written_to_the_user_and_nothing_older_after_it(
    url: str, users: Engine
) -> None:
    older = replace(CHANGED, standing=CHANGED.standing._replace(version=2, status="canceled"))
    for message in (CHANGED, CHANGED, older):
        assert callback_to(url).send(message).status == 204
    assert user(users) == ("user-1", "verified", 3)


def test_what_is_signed_by_another_changes_nothing(url: str, users: Engine) -> None:
    with pytest.raises(ReceiverUnavailable, match="answered 401"):
        callback_to(url, OLD_SECRET).send(CHANGED)
    assert user(users) == ("user-1", None, 0)
