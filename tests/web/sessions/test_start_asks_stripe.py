"""A start decides by what Stripe says, not by what the ledger has heard of."""

from __future__ import annotations

from typing import Any

import pytest
from redis import Redis

from app.ledger.engine import LedgerUnavailable
from app.ledger.ledger import Ledger
from app.operations.own_account import check_account
from tests.sandbox.processes import Sandbox, running
from tests.web.sessions.conftest import AT_STRIPE, Backend, error_of, opened_backend


def elsewhere(sandbox: Sandbox, **params: Any) -> str:
    """A session that was not made through us, and whose events do not come."""
    sessions: Any = sandbox.client().v1.identity.verification_sessions
    return str(sessions.create({"type": "document", **params}).id)


def open_at_stripe(backend: Backend, reference: str) -> list[str]:
    """The reference's sessions that a person could continue."""
    found = backend.sandbox.control("GET", "/sessions")["data"]
    return [
        each["id"]
        for each in found
        if each["client_reference_id"] == reference and each["status"] == "requires_input"
    ]


def test_a_lost_webhook_of_a_failed_attempt_does_not_hold_the_user_up(
    backend: Backend, sandbox: Sandbox, reference: str
) -> None:
    made = backend.created(reference)
    sandbox.submit(made["id"], "document_expired", delay=60)
    backend.see(made["id"])
    error_of(backend.create(reference), 409)
    sandbox.control("POST", "/clock", {"advance": 61})  # its requires_input never comes
    again = backend.created(reference)
    assert (again["id"], again["resumed"]) == (made["id"], True)
    assert backend.reference(reference).json()["standing"]["attempts"] == 1


def test_a_processing_session_that_stripe_does_not_know_holds_nobody_up(
    environment: dict[str, str], redis: Redis, sandbox: Sandbox, backend: Backend, reference: str
) -> None:
    made = backend.created(reference)
    sandbox.submit(made["id"], "verified", delay=3600)
    backend.see(made["id"])
    error_of(backend.create(reference), 409)
    with (
        running() as other,
        opened_backend(environment | {"STRIPE_API_BASE": other.url}, other) as moved,
    ):
        anew = moved.created(reference)
        assert (anew["id"] != made["id"], anew["resumed"]) == (True, False)
        sessions = moved.reference(reference).json()["sessions"]
        assert {s["id"]: s["missing"] for s in sessions} == {made["id"]: True, anew["id"]: False}


def test_a_verification_that_stripe_has_taken_back_is_asked_for_anew(
    backend: Backend, sandbox: Sandbox, reference: str
) -> None:
    made = backend.created(reference)
    sandbox.submit(made["id"], "verified")
    backend.see(made["id"])
    review = {"status": "requires_input", "last_error": "document_unverified_other"}
    sandbox.control("POST", f"/sessions/{made['id']}/review", review)
    sandbox.control("POST", "/clock", {"advance": 2})
    again = backend.created(reference)
    assert (again["id"], again["resumed"]) == (made["id"], True)


def test_a_session_made_elsewhere_is_resumed_before_its_webhook_comes(
    backend: Backend, sandbox: Sandbox, reference: str
) -> None:
    id = elsewhere(sandbox, client_reference_id=reference)
    started = backend.created(reference)
    assert (started["id"], started["resumed"]) == (id, True)
    assert started["url"]
    assert started["client_secret"]
    assert backend.reference(reference).json()["standing"]["session_id"] == id


def test_a_verification_made_elsewhere_is_known_before_its_webhook_comes(
    backend: Backend, sandbox: Sandbox, reference: str
) -> None:
    sandbox.submit(elsewhere(sandbox, client_reference_id=reference), "verified")
    assert error_of(backend.create(reference), 409)["code"] == "reference_verified"
    assert backend.reference(reference).json()["standing"]["status"] == "verified"


def test_a_session_that_names_its_user_in_metadata_is_asked_about(
    backend: Backend, sandbox: Sandbox, reference: str
) -> None:
    id = elsewhere(sandbox, metadata={"user_id": reference})
    backend.see(id)
    assert backend.created(reference)["id"] == id
    sandbox.submit(id, "verified")
    assert error_of(backend.create(reference), 409)["code"] == "reference_verified"


def test_of_several_open_sessions_one_stays(
    backend: Backend, sandbox: Sandbox, reference: str
) -> None:
    elsewhere(sandbox, client_reference_id=reference)
    newest = elsewhere(sandbox, client_reference_id=reference)
    started = backend.created(reference)
    assert started["id"] == newest
    assert open_at_stripe(backend, reference) == [newest]
    sessions = backend.reference(reference).json()["sessions"]
    assert sorted(s["status"] for s in sessions) == ["canceled", "requires_input"]


def test_a_death_before_the_ledger_leaves_one_session_whatever_is_asked_next(
    backend: Backend, reference: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise LedgerUnavailable("the ledger does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "apply", die)
        error_of(backend.create(reference, metadata={"try": "1"}), 503)
    (left,) = backend.at_stripe(reference)
    assert backend.created(reference, metadata={"try": "2"})["id"] == left
    assert backend.at_stripe(reference) == [left]


def test_a_lost_answer_leaves_one_session_whatever_is_asked_next(
    backend: Backend, sandbox: Sandbox, reference: str
) -> None:
    sandbox.control("POST", "/faults", {"path": AT_STRIPE, "method": "POST", "hang_up": "after"})
    error_of(backend.create(reference, metadata={"try": "1"}), 503)
    (left,) = backend.at_stripe(reference)
    assert backend.created(reference, metadata={"try": "2"})["id"] == left
    assert backend.at_stripe(reference) == [left]


def test_the_ledger_being_away_is_503_and_makes_no_session(
    environment: dict[str, str], sandbox: Sandbox, redis: Redis, reference: str
) -> None:
    away = {"DATABASE_URL": "sqlite:////no/such/folder/ledger.db"}
    with opened_backend(environment | away, sandbox) as backend:
        error_of(backend.create(reference), 503)
    assert backend.at_stripe(reference) == []


def test_if_stripe_cannot_be_asked_nothing_is_made(
    backend: Backend, sandbox: Sandbox, reference: str
) -> None:
    sandbox.control("POST", "/faults", {"path": AT_STRIPE, "method": "GET", "status": 500})
    error_of(backend.create(reference), 500)
    assert backend.at_stripe(reference) == []
    assert backend.created(reference)["resumed"] is False


def test_another_accounts_key_starts_nothing_for_a_known_user(
    environment: dict[str, str], sandbox: Sandbox, redis: Redis, backend: Backend, reference: str
) -> None:
    made = backend.created(reference)
    stores = backend.context.stores
    check_account(stores.require_stripe(), stores.ledger, livemode=False, now=1)
    key = {"STRIPE_API_KEY": "sk_test_acct_other_1"}
    with opened_backend(environment | key, sandbox) as other:
        for answer in (other.create(reference), other.refresh(reference)):
            assert "STRIPE_API_KEY is a key of" in error_of(answer, 503)["message"]
    (session,) = backend.reference(reference).json()["sessions"]
    assert session["missing"] is False
    assert backend.at_stripe(reference) == [made["id"]]
