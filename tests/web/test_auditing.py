"""Refused calls in the audit: of a token that is known, and not too many."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis
from starlette.testclient import TestClient

from app.configuration.credentials import READ, REDACT, WRITE
from app.configuration.settings import Settings
from app.ledger.audit import AuditEntry
from app.stores import Stores, opened_stores
from app.web.auditing import BURST, CallAudit, RecordCall, result_of
from app.web.main import create_app
from tests.web.test_scopes import EXPAND, REPORTS, SESSIONS, TOKENS, bearer


@pytest.fixture
def settings(environment: dict[str, str], redis: Redis) -> Settings:
    """A token for each scope, and the key of a Stripe that is away."""
    tokens = ",".join(f"{scope}er:{token}:{scope}" for scope, token in TOKENS.items())
    stripe = {"STRIPE_API_KEY": "sk_test_1", "STRIPE_API_BASE": "http://127.0.0.1:9"}
    return Settings.from_environment(environment | stripe | {"API_TOKENS": tokens})


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def stores(settings: Settings) -> Iterator[Stores]:
    with opened_stores(settings) as stores:
        yield stores


def entries(stores: Stores) -> list[AuditEntry]:
    return stores.audit.page(None, 1_000)


@pytest.mark.parametrize(
    ("method", "path", "scope", "action"),
    [
        ("POST", SESSIONS, READ, "create"),
        ("POST", SESSIONS + "/vs_1", READ, "update"),
        ("POST", SESSIONS + "/vs_1/cancel", READ, "cancel"),
        ("POST", SESSIONS + "/vs_1/redact", WRITE, "redact"),
        ("GET", REPORTS, WRITE, "list_reports"),
        ("GET", REPORTS + "/vr_1", WRITE, "read_report"),
        ("GET", f"{SESSIONS}?{EXPAND}", READ, "list"),
        ("GET", f"{SESSIONS}/vs_1?{EXPAND}", READ, "retrieve"),
        ("POST", "/v1/references/user_1/refresh", READ, "refresh_reference"),
        ("POST", "/v1/references/user_1/redact", WRITE, "redact_reference"),
    ],
)
def test_a_call_that_the_token_has_no_scope_for_is_an_entry(
    client: TestClient, stores: Stores, method: str, path: str, scope: str, action: str
) -> None:
    assert client.request(method, path, headers=bearer(scope)).status_code == 403
    (entry,) = entries(stores)
    assert (entry.who, entry.action, entry.result) == (f"{scope}er", action, "refused: 403")


@pytest.mark.parametrize("path", ["/metrics", "/v1/references/user_1", SESSIONS])
def test_a_read_that_is_refused_is_no_entry(client: TestClient, stores: Stores, path: str) -> None:
    assert client.get(path, headers=bearer(REDACT)).status_code == 403
    assert entries(stores) == []


def test_a_token_that_nobody_has_is_no_entry(client: TestClient, stores: Stores) -> None:
    for path in (SESSIONS, SESSIONS + "/vs_1/cancel"):
        assert client.post(path, headers={"Authorization": "Bearer of-nobody"}).status_code == 401
    assert entries(stores) == []


def test_a_leaked_token_does_not_fill_the_audit(client: TestClient, stores: Stores) -> None:
    for _ in range(BURST + 5):
        client.get(REPORTS, headers=bearer(READ))
    assert BURST <= len(entries(stores)) <= BURST + 1


def test_a_call_that_fails_for_a_fault_of_ours_is_an_entry(
    client: TestClient, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError

    monkeypatch.setattr("app.web.references.refresh_reference", broken)
    answer = client.post("/v1/references/user_1/refresh", headers=bearer(WRITE))
    assert answer.status_code == 500
    assert [entry.result for entry in entries(stores)] == ["failed: 500"]


def test_an_answer_that_nobody_takes_is_one_entry(stores: Stores) -> None:
    """The caller has gone: sending fails, after the entry was written."""
    audit = CallAudit(stores, lambda: 1.0)
    recorded: list[str] = []

    async def record(scope: Any, action: str, result: str) -> None:
        recorded.append(result)

    async def answers(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"{}"})

    async def gone(message: Any) -> None:
        raise OSError

    audit.record = record  # type: ignore[method-assign]
    with pytest.raises(OSError):  # noqa: PT011 - it has no text
        asyncio.run(RecordCall(answers, audit, "create", False)({}, None, gone))  # type: ignore[arg-type]
    assert recorded == ["done"]


@pytest.mark.parametrize(
    ("status", "body", "result"),
    [
        (202, b"{}", "done"),
        (409, b'{"error": {"code": "reference_verified"}}', "refused: 409 reference_verified"),
        (400, b'{"error": {"code": "a b\\u0000"}}', "refused: 400"),
        (404, b'{"error": "none"}', "refused: 404"),
        (502, b"<html>", "failed: 502"),
        (500, b"", "failed: 500"),
    ],
)
def test_the_result_is_told_by_status_and_code(status: int, body: bytes, result: str) -> None:
    assert result_of(status, body) == result
