"""MAX_ATTEMPTS as the team's backend meets it, with a local Stripe."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from app.domain.standing import ReferenceKey
from app.operations.allow_attempt import allow_attempt
from tests.sandbox.processes import Sandbox
from tests.web.sessions.conftest import Backend, error_of, opened_backend


@pytest.fixture
def backend(environment: dict[str, str], sandbox: Sandbox, redis: Redis) -> Iterator[Backend]:
    """One that allows two attempts."""
    with opened_backend(environment | {"MAX_ATTEMPTS": "2"}, sandbox) as backend:
        yield backend


def attempt(backend: Backend, reference: str, outcome: str, **params: object) -> str:
    id = str(backend.created(reference, **params)["id"])
    backend.sandbox.submit(id, outcome)
    backend.see(id)
    return id


def test_one_more_attempt_is_allowed_after_the_limit(backend: Backend, reference: str) -> None:
    first = attempt(backend, reference, "document_expired")
    assert attempt(backend, reference, "document_expired") == first
    backend.run_effects()
    assert backend.sandbox.truth(first)["status"] == "canceled"
    assert error_of(backend.create(reference), 409)["code"] == "attempts_exhausted"
    key = ReferenceKey("", False, reference)
    assert allow_attempt(backend.context.stores, key, why="x", now=int(backend.context.now()))
    second = attempt(backend, reference, "document_expired")
    assert second != first
    backend.run_effects()
    assert backend.sandbox.truth(second)["status"] == "canceled"
    assert error_of(backend.create(reference), 409)["code"] == "attempts_exhausted"


def test_what_the_person_broke_off_is_free(backend: Backend, reference: str) -> None:
    ids = {attempt(backend, reference, "abandoned") for _ in range(3)}
    assert len(ids) == 1
    standing = backend.reference(reference).json()["standing"]
    assert (standing["attempts"] > 0, standing["attempts_counted"]) == (True, 0)


def test_the_count_starts_anew_with_a_success(backend: Backend, reference: str) -> None:
    # Answers alone tell of it here, and date it to a second or two: the steps are further apart.
    attempt(backend, reference, "document_expired")
    backend.sandbox.control("POST", "/clock", {"advance": 5})
    attempt(backend, reference, "verified")
    backend.sandbox.control("POST", "/clock", {"advance": 5})
    attempt(backend, reference, "document_expired", reverify=True)
    standing = backend.reference(reference).json()["standing"]
    assert (standing["attempts"], standing["attempts_counted"]) == (2, 1)
    assert backend.created(reference, reverify=True)["resumed"] is True
