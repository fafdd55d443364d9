"""What asking for a reference's redaction writes to the ledger."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.operations.dlq.discard import discard
from app.operations.redact_reference import redact_reference
from app.queue.dead_letters import DeadLetters
from app.queue.model import EFFECTS
from app.stripe.client import StripeApi
from tests.sandbox.processes import Sandbox
from tests.support.deployment import Deployment, letter
from tests.support.events import OPENED
from tests.support.workers import with_stores

NOW = OPENED + 100


@pytest.fixture
def deployment(deployment: Deployment, sandbox: Sandbox) -> Deployment:
    """With a Stripe that knows none of its sessions."""
    stripe = StripeApi("sk_test_123", sandbox.url)
    return replace(deployment, context=with_stores(deployment.context, stripe=stripe))


def asked(
    deployment: Deployment, reference: str = "user-1", now: int = NOW
) -> dict[str, str | None]:
    """Each session's redaction as it is reported."""
    found = redact_reference(deployment.stores, reference, account="", livemode=False, now=now)
    assert found
    return {one.session.id: one.as_json()["redaction"] for one in found}


def test_a_reference_never_seen_has_nothing_to_redact(deployment: Deployment) -> None:
    found = redact_reference(deployment.stores, "nobody", account="", livemode=False, now=NOW)
    assert found == []


def test_each_session_of_the_reference_gets_an_effect_and_no_other_does(
    deployment: Deployment,
) -> None:
    deployment.apply(
        letter("evt_1", session="vs_1"),
        letter("evt_2", "requires_input", session="vs_2"),
        letter("evt_3", reference="user-2", session="vs_3"),
    )
    assert asked(deployment) == {"vs_1": "asked", "vs_2": "asked"}
    rows = deployment.ledger.effects_due_unsent(NOW + 1, 10)
    redactions = [row for row in rows if row.kind == "redact"]
    assert {row.session_id for row in redactions} == {"vs_1", "vs_2"}
    assert {row.due for row in redactions} == {NOW}


def test_an_effect_is_enqueued_at_once(deployment: Deployment) -> None:
    deployment.apply(letter("evt_1", session="vs_1"))
    asked(deployment)
    (job,) = deployment.stores.effects.claim("token", 60, 10)
    assert job.id == f"vs_1-{NOW}-redact"


def test_an_effect_names_no_reference(deployment: Deployment) -> None:
    deployment.apply(letter("evt_1", session="vs_1"))
    asked(deployment)
    rows = deployment.ledger.effects_due_unsent(NOW + 1, 10)
    assert [row.reference_key for row in rows if row.kind == "redact"] == [None]


def test_a_session_that_is_redacted_or_about_to_be_is_left_alone(deployment: Deployment) -> None:
    deployment.apply(
        letter("evt_1", session="vs_1", redaction="redacted"),
        letter("evt_2", session="vs_2", redaction="processing"),
    )
    assert asked(deployment) == {"vs_1": "redacted", "vs_2": "processing"}
    rows = deployment.ledger.effects_due_unsent(NOW + 1, 10)
    assert [row for row in rows if row.kind == "redact"] == []


def test_asking_twice_in_a_second_writes_one_effect(deployment: Deployment) -> None:
    deployment.apply(letter("evt_1", session="vs_1"))
    for _ in range(2):
        assert asked(deployment) == {"vs_1": "asked"}
    rows = deployment.ledger.effects_due_unsent(NOW + 1, 10)
    assert [row.kind for row in rows if row.kind == "redact"] == ["redact"]


def test_a_discarded_letter_without_its_reference_is_in_the_references_timeline(
    deployment: Deployment,
) -> None:
    deployment.bury_effect()
    (dead,) = DeadLetters(deployment.redis, EFFECTS)
    assert "reference" not in dead.payload
    effects = deployment.stores.effects
    assert discard(effects, deployment.ledger, [dead], "mended by hand", NOW) == 1
    last = deployment.record("user-1").timeline[-1]
    assert (last.cause, last.event_id, last.note) == ("discarded", dead.id, "mended by hand")
