"""What Stripe answers to our calls is in the ledger at once, with all it causes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from app.ledger.engine import LedgerUnavailable
from app.ledger.ledger import Ledger
from tests.sandbox.processes import Sandbox
from tests.web.sessions.conftest import AT_STRIPE, Backend, error_of, opened_backend


@pytest.fixture
def backend(environment: dict[str, str], sandbox: Sandbox, redis: Redis) -> Iterator[Backend]:
    """One whose team is notified of changes, and whose Stripe delivers no webhook."""
    with opened_backend(environment | {"NOTIFY_STREAM": "changes"}, sandbox) as backend:
        yield backend


def status(backend: Backend, reference: str) -> tuple[str, str | None]:
    """How the reference stands in the ledger, and its redaction."""
    record = backend.record(reference)
    assert record is not None
    return record.standing.status, record.standing.redaction


def notified(backend: Backend) -> list[str]:
    """The kinds of the effects that have been asked for since."""
    return [effect.kind for effect in backend.run_effects()]


def test_a_cancellation_is_in_the_ledger_with_what_it_causes(
    backend: Backend, reference: str
) -> None:
    made = backend.created(reference)
    assert notified(backend) == ["notify"]
    assert backend.post(f"/{made['id']}/cancel").status_code == 200
    assert status(backend, reference) == ("canceled", None)
    assert notified(backend) == ["notify"]


def test_a_redaction_is_in_the_ledger(backend: Backend, sandbox: Sandbox, reference: str) -> None:
    made = backend.created(reference)
    sandbox.submit(made["id"], "verified")
    assert backend.post(f"/{made['id']}/redact").status_code == 200
    assert status(backend, reference) == ("verified", "processing")


def test_an_update_and_a_retrieval_bring_what_they_show(
    backend: Backend, sandbox: Sandbox, reference: str
) -> None:
    made = backend.created(reference)
    sandbox.submit(made["id"], "document_expired")
    assert backend.post("/" + made["id"], {"metadata": {"plan": "gold"}}).status_code == 200
    record = backend.record(reference)
    assert record is not None
    assert record.standing.last_error_code == "document_expired"
    sandbox.submit(made["id"], "verified")
    assert backend.get("/" + made["id"]).status_code == 200
    assert status(backend, reference) == ("verified", None)


def test_a_session_that_was_made_elsewhere_is_known_once_it_is_retrieved(
    backend: Backend, sandbox: Sandbox, reference: str
) -> None:
    sessions = sandbox.client().v1.identity.verification_sessions
    made = sessions.create({"type": "document", "client_reference_id": reference})
    assert backend.record(reference) is None
    assert backend.get("/" + made.id).status_code == 200
    assert status(backend, reference) == ("requires_input", None)


@pytest.mark.parametrize("path", ["", "/cancel", "/redact"])
def test_what_stripe_has_done_is_answered_though_the_ledger_is_away(
    backend: Backend, reference: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = backend.created(reference)

    def away(*_: object, **__: object) -> None:
        raise LedgerUnavailable("the ledger does not answer")

    with monkeypatch.context() as patched, capture_logs([merge_contextvars]) as logs:
        patched.setattr(Ledger, "apply", away)
        answer = backend.post(f"/{made['id']}{path}")
    assert answer.status_code == 200
    assert answer.json()["status"] == ("canceled" if path else "requires_input")
    (line,) = (line for line in logs if line["event"] == "the ledger is behind Stripe")
    assert line["session_id"] == made["id"]
    assert line["request_id"] == answer.headers["x-request-id"]  # though a thread has written it
    # Stripe's event, or any later question, heals it.
    assert status(backend, reference)[0] == "requires_input"
    backend.see(made["id"])
    assert status(backend, reference)[0] == answer.json()["status"]


def test_what_stripe_has_not_done_is_not_in_the_ledger(
    backend: Backend, sandbox: Sandbox, reference: str
) -> None:
    made = backend.created(reference)
    sandbox.control("POST", "/faults", {"path": AT_STRIPE, "method": "POST", "status": 503})
    error_of(backend.post(f"/{made['id']}/cancel"), 503)
    assert status(backend, reference) == ("requires_input", None)


def test_an_answer_that_is_given_again_takes_nothing_back(
    backend: Backend, sandbox: Sandbox, reference: str
) -> None:
    made = backend.created(reference)
    update = ("/" + made["id"], {"metadata": {"plan": "gold"}}, {"Idempotency-Key": reference})
    assert backend.post(*update).status_code == 200
    sandbox.submit(made["id"], "verified")
    again = backend.post(*update)
    assert again.json()["status"] == "requires_input"  # Stripe's answer of then
    assert status(backend, reference) == ("verified", None)
