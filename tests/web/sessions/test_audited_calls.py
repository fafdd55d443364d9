"""Calls that change something, or show what a person has submitted, are in the audit."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from app.ledger.audit import Audit, AuditEntry
from app.ledger.engine import LedgerUnavailable
from app.stripe.client import REPORTS
from tests.sandbox.processes import Sandbox
from tests.web.sessions.conftest import AT_STRIPE, BEARER, Backend

Entries = Callable[[], list[AuditEntry]]


@pytest.fixture
def entries(backend: Backend) -> Entries:
    """All of the audit, oldest first."""
    return lambda: backend.context.stores.audit.page(None, 100)[::-1]


def test_a_session_that_is_opened_changed_and_ended_leaves_an_entry_each(
    backend: Backend, reference: str, entries: Entries
) -> None:
    session = backend.created(reference)["id"]
    backend.post("/" + session, {"metadata": {"plan": "gold"}})
    backend.post(f"/{session}/cancel")
    found = [(one.action, one.target.get("session_id"), one.result) for one in entries()]
    assert found == [(action, session, "done") for action in ("create", "update", "cancel")]
    first = entries()[0]
    assert (first.who, first.via, first.target["reference"]) == ("#1", "api", reference)


def test_a_user_who_is_refreshed_and_redacted_is_named(
    backend: Backend, reference: str, entries: Entries
) -> None:
    backend.created(reference)
    assert backend.refresh(reference).status_code == 200
    assert backend.redact_reference(reference).status_code == 202
    user = {"reference": reference, "livemode": "false"}
    assert [(one.action, one.target, one.result) for one in entries()[1:]] == [
        ("refresh_reference", user, "done"),
        ("redact_reference", user, "done"),
    ]


def test_what_our_rules_refuse_says_by_which_code(
    backend: Backend, sandbox: Sandbox, reference: str, entries: Entries
) -> None:
    sandbox.submit(backend.created(reference)["id"], "verified")
    assert backend.create(reference).status_code == 409
    assert entries()[-1].result == "refused: 409 reference_verified"


def test_what_stripe_refuses_or_does_not_answer_is_told_apart(
    backend: Backend, sandbox: Sandbox, entries: Entries
) -> None:
    assert backend.post("/vs_nosuch/cancel").status_code == 404
    sandbox.control("POST", "/faults", {"path": AT_STRIPE, "method": "POST", "status": 503})
    assert backend.post("/vs_nosuch/cancel").status_code == 503
    refused, failed = entries()
    assert refused.result == "refused: 404 resource_missing"
    assert failed.result.startswith("failed: 503")


def test_a_call_that_cannot_be_read_is_an_entry_without_a_target(
    backend: Backend, entries: Entries
) -> None:
    assert backend.post("", {"type": "document"}).status_code == 400
    (entry,) = entries()
    assert (entry.target, entry.result) == ({}, "refused: 400 parameter_missing")


def test_a_read_that_shows_nothing_submitted_is_no_entry(
    backend: Backend, reference: str, entries: Entries
) -> None:
    session = backend.created(reference)["id"]
    before = entries()
    for answer in (backend.get("/" + session), backend.get(), backend.reference(reference)):
        assert answer.status_code == 200
    assert entries() == before


def test_who_sees_what_a_person_has_submitted_is_an_entry(
    backend: Backend, sandbox: Sandbox, reference: str, entries: Entries
) -> None:
    session = backend.created(reference)["id"]
    sandbox.submit(session, "verified")
    report = backend.get("/" + session).json()["last_verification_report"]
    backend.get("/" + session, "expand[]=last_verification_report")
    backend.client.get(f"{REPORTS}/{report}", headers=BEARER)
    assert [(one.action, one.target, one.result) for one in entries()[1:]] == [
        ("retrieve", {"session_id": session, "expand": "true"}, "done"),
        ("read_report", {"report_id": report}, "done"),
    ]


@pytest.mark.parametrize("how", ["cancel", "redact"])
def test_what_stripe_has_done_is_answered_though_no_entry_can_be_written(
    backend: Backend, reference: str, how: str, monkeypatch: pytest.MonkeyPatch, entries: Entries
) -> None:
    session = backend.created(reference)["id"]

    def away(*_: object, **__: object) -> None:
        raise LedgerUnavailable("the ledger does not answer")

    with monkeypatch.context() as patched, capture_logs([merge_contextvars]) as logs:
        patched.setattr(Audit, "record", away)
        answer = backend.post(f"/{session}/{how}")
    assert answer.status_code == 200
    said = [line for line in logs if line.get("part") == "audit" or "audit" in line["event"]]
    assert [line["event"] for line in said] == ["audited call", "not in the audit"]
    assert said[-1].items() >= {"action": how, "who": "#1", "result": "done"}.items()
    assert said[-1]["target"] == {"session_id": session}
    assert said[-1]["request_id"] == answer.headers["x-request-id"]
    assert [one.action for one in entries()] == ["create"]


def test_a_lost_entry_does_not_tell_the_log_who_the_user_is(
    backend: Backend, reference: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise LedgerUnavailable("the ledger does not answer")

    with monkeypatch.context() as patched, capture_logs() as logs:
        patched.setattr(Audit, "record", away)
        backend.created(reference)
    assert "not in the audit" in str(logs)
    assert reference not in str(logs)
