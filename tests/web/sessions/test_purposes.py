"""A user who is verified for several things, as the team's backend sees it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from app.domain.standing import ReferenceKey
from app.operations.claim_orphan import Claims
from tests.sandbox.processes import Sandbox
from tests.web.sessions.conftest import BEARER, Backend, error_of, opened_backend


@pytest.fixture
def backend(environment: dict[str, str], sandbox: Sandbox, redis: Redis) -> Iterator[Backend]:
    """One that looks for a purpose in the metadata."""
    with opened_backend(environment | {"PURPOSE_METADATA_KEY": "purpose"}, sandbox) as backend:
        yield backend


def verify(backend: Backend, reference: str, **params: object) -> str:
    id = str(backend.created(reference, **params)["id"])
    backend.sandbox.submit(id, "verified")
    backend.see(id)
    return id


def status(backend: Backend, reference: str, purpose: str) -> object:
    answer = backend.reference(reference, purpose=purpose)
    return answer.json()["standing"]["status"] if answer.status_code == 200 else None


def test_a_user_verified_for_one_thing_starts_anew_for_another(
    backend: Backend, reference: str
) -> None:
    tenant = verify(backend, reference)
    driver = backend.created(reference, metadata={"purpose": "driver"})
    assert driver["resumed"] is False
    assert driver["id"] != tenant
    assert status(backend, reference, "") == "verified"
    assert status(backend, reference, "driver") == "requires_input"
    assert backend.created(reference, metadata={"purpose": "driver"})["resumed"] is True


def test_a_user_verified_for_a_purpose_is_not_asked_again_for_it(
    backend: Backend, reference: str
) -> None:
    verify(backend, reference, metadata={"purpose": "driver"})
    again = error_of(backend.create(reference, metadata={"purpose": "driver"}), 409)
    assert again["code"] == "reference_verified"
    assert status(backend, reference, "") is None
    assert backend.created(reference)["resumed"] is False


def test_the_record_says_what_it_is_for(backend: Backend, reference: str) -> None:
    verify(backend, reference, metadata={"purpose": "driver"})
    assert backend.reference(reference, purpose="driver").json()["purpose"] == "driver"


def test_a_session_for_an_unusable_purpose_is_not_opened(backend: Backend, reference: str) -> None:
    error = error_of(backend.create(reference, metadata={"purpose": "to drive"}), 400)
    assert error["param"] == "metadata[purpose]"
    assert backend.at_stripe(reference) == []


def test_a_question_about_an_unusable_purpose_is_refused(backend: Backend, reference: str) -> None:
    assert error_of(backend.reference(reference, purpose="to drive"), 400)["param"] == "purpose"


def test_a_redacted_session_stays_what_it_was_for(backend: Backend, reference: str) -> None:
    id = verify(backend, reference, metadata={"purpose": "driver"})
    backend.post(f"/{id}/redact")
    backend.see(id)
    backend.sandbox.control("POST", "/clock", {"advance": 4 * 24 * 3600})
    backend.see(id)
    answer = backend.reference(reference, purpose="driver").json()
    assert (answer["standing"]["status"], answer["standing"]["redaction"]) == (
        "verified",
        "redacted",
    )
    assert status(backend, reference, "") is None


def test_a_user_is_forgotten_for_every_purpose(backend: Backend, reference: str) -> None:
    ids = [verify(backend, reference), verify(backend, reference, metadata={"purpose": "driver"})]
    sessions = backend.redact_reference(reference).json()["sessions"]
    assert {one["id"]: one["redaction"] for one in sessions} == dict.fromkeys(ids, "asked")


def test_a_claimed_orphan_keeps_what_it_is_for(backend: Backend, reference: str) -> None:
    stores = backend.context.stores
    stripe = stores.require_stripe()
    created = stripe.create({"type": "document", "metadata": {"purpose": "driver"}}, "", reference)
    key = created.observation.key
    backend.see(key.id)
    assert stores.ledger.reference_of(key) is None
    claims = Claims(stores, metadata_key="user_id", now=backend.context.now)
    assert claims.claim(key, reference).status == "requires_input"
    assert stores.ledger.reference_of(key) == ReferenceKey("", False, reference, "driver")


def test_stripe_is_asked_now_about_one_purpose(backend: Backend, reference: str) -> None:
    id = backend.created(reference, metadata={"purpose": "driver"})["id"]
    backend.sandbox.submit(id, "verified")
    path = f"/v1/references/{reference}/refresh?purpose=driver"
    answer = backend.client.post(path, headers=BEARER).json()
    assert (answer["purpose"], answer["standing"]["status"]) == ("driver", "verified")
    assert [session["id"] for session in answer["sessions"]] == [id]
