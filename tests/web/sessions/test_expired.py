"""A user whose verification has expired starts another."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from redis import Redis
from starlette.testclient import TestClient

from app.configuration.settings import Settings
from app.web.main import create_app
from tests.sandbox.processes import Sandbox
from tests.web.sessions.conftest import Backend, error_of
from workers.context import Context

DAY = 86_400


class Days:
    """Our clock, which a test puts forward."""

    ahead = 0

    def now(self) -> float:
        return time.time() + self.ahead * DAY


@pytest.fixture
def days() -> Days:
    return Days()


@pytest.fixture
def backend(
    environment: dict[str, str], sandbox: Sandbox, redis: Redis, days: Days
) -> Iterator[Backend]:
    """One in which a verification is valid for thirty days."""
    settings = Settings.from_environment(environment | {"REVERIFY_AFTER_DAYS": "30"})
    context = Context.of(settings)
    with TestClient(create_app(settings, days.now)) as client:
        yield Backend(client, sandbox, context)
    context.stores.close()


def test_an_expired_user_starts_a_new_session(backend: Backend, reference: str, days: Days) -> None:
    first = backend.created(reference)["id"]
    backend.sandbox.submit(first, "verified")
    backend.see(first)
    assert error_of(backend.create(reference), 409)["code"] == "reference_verified"
    # The sandbox's clock is not ours: other tests have put it forward.
    verified_at = backend.reference(reference).json()["standing"]["verified_at"]
    days.ahead = 31 + max(0, (verified_at - int(time.time())) // DAY)
    backend.sandbox.control("POST", "/clock", {"advance": 60})
    again = backend.created(reference)
    assert again["resumed"] is False
    assert again["id"] != first
    standing = backend.reference(reference).json()["standing"]
    assert (standing["status"], standing["session_id"]) == ("requires_input", again["id"])
    assert backend.created(reference)["resumed"] is True
