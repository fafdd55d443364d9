"""What each token may do, what is refused, how that is slowed, and who is said to have called."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis
from starlette.applications import Starlette
from starlette.datastructures import Secret
from starlette.routing import Route
from starlette.testclient import TestClient
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from app.configuration.credentials import READ, REDACT, SCOPES, WRITE, ApiToken
from app.configuration.settings import Settings
from app.web.authentication import BURST, TokenGate
from app.web.main import create_app
from app.web.refusals import KEY, Refusal
from tests.support.waiting import eventually

TOKENS = {scope: f"token-that-may-{scope}" for scope in sorted(SCOPES)}
SESSIONS = "/v1/identity/verification_sessions"
REPORTS = "/v1/identity/verification_reports"
CALLS = [
    ("GET", SESSIONS, READ),
    ("POST", SESSIONS, WRITE),
    ("GET", SESSIONS + "/vs_1", READ),
    ("POST", SESSIONS + "/vs_1", WRITE),
    ("POST", SESSIONS + "/vs_1/cancel", WRITE),
    ("POST", SESSIONS + "/vs_1/redact", REDACT),
    ("GET", REPORTS, REDACT),
    ("GET", REPORTS + "/vr_1", REDACT),
    ("GET", "/v1/references/user_1", READ),
    ("POST", "/v1/references/user_1/refresh", WRITE),
    ("POST", "/v1/references/user_1/redact", REDACT),
    ("GET", "/metrics", READ),
]
EXPAND = "expand[]=verified_outputs"


def bearer(scope: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKENS[scope]}"}


@pytest.fixture
def client(environment: dict[str, str], redis: Redis) -> Iterator[TestClient]:
    """An application that knows a token for each scope, and has a key of a Stripe that is away."""
    tokens = ",".join(f"{scope}er:{token}:{scope}" for scope, token in TOKENS.items())
    stripe = {"STRIPE_API_KEY": "sk_test_1", "STRIPE_API_BASE": "http://127.0.0.1:9"}
    settings = Settings.from_environment(environment | stripe | {"API_TOKENS": tokens})
    with TestClient(create_app(settings)) as client:
        yield client


@pytest.mark.parametrize(("method", "path", "needed"), CALLS)
def test_a_call_is_allowed_to_the_tokens_of_its_scope_and_to_no_other(
    client: TestClient, method: str, path: str, needed: str
) -> None:
    answers = {
        scope: client.request(method, path, headers=bearer(scope)).status_code for scope in SCOPES
    }
    assert answers.pop(needed) not in (401, 403, 429)
    assert set(answers.values()) == {403}


@pytest.mark.parametrize(
    ("method", "path", "body", "scope"),
    [
        ("GET", f"{SESSIONS}?{EXPAND}", "", READ),
        ("GET", f"{SESSIONS}/vs_1?{EXPAND}", "", READ),
        ("GET", f"{SESSIONS}/vs_1?expand[0]=last_verification_report", "", READ),
        ("POST", SESSIONS, f"type=document&client_reference_id=user_1&{EXPAND}", WRITE),
        ("POST", SESSIONS + "/vs_1", EXPAND, WRITE),
        ("POST", SESSIONS + "/vs_1/cancel", EXPAND, WRITE),
    ],
)
def test_what_a_person_has_submitted_is_only_expanded_for_who_may_redact(
    client: TestClient, method: str, path: str, body: str, scope: str
) -> None:
    headers = bearer(scope) | {"Content-Type": "application/x-www-form-urlencoded"}
    answer = client.request(method, path, content=body, headers=headers)
    assert answer.status_code == 403
    assert "`redact`" in answer.json()["error"]["message"]


def test_a_refusal_names_the_scope_and_nothing_of_the_token(client: TestClient) -> None:
    error = client.get(REPORTS, headers=bearer(READ)).json()["error"]
    assert error["type"] == "invalid_request_error"
    assert "`redact`" in error["message"]
    assert TOKENS[READ] not in str(error)


def test_what_is_refused_is_counted(client: TestClient, redis: Redis) -> None:
    client.get("/metrics")
    client.get(REPORTS, headers=bearer(READ))
    client.get(f"{SESSIONS}?{EXPAND}", headers=bearer(READ))
    eventually(lambda: redis.hgetall(KEY) == {b"token": b"1", b"scope": b"2"})


@pytest.mark.parametrize(
    ("method", "path", "scope", "said"),
    [
        ("POST", SESSIONS + "/vs_1/cancel", WRITE, {"action": "cancel", "session_id": "vs_1"}),
        ("POST", SESSIONS + "/vs_1/redact", REDACT, {"action": "redact", "session_id": "vs_1"}),
        ("POST", "/v1/references/user_1/redact", REDACT, {"action": "redact_reference"}),
        ("GET", REPORTS + "/vr_1", REDACT, {"action": "read_report", "report_id": "vr_1"}),
        ("GET", REPORTS, REDACT, {"action": "list_reports"}),
    ],
)
def test_who_cancels_redacts_or_sees_a_report_is_logged(
    client: TestClient, method: str, path: str, scope: str, said: dict[str, str]
) -> None:
    with capture_logs(processors=[merge_contextvars]) as lines:
        answer = client.request(method, path, headers=bearer(scope))
    (line,) = [line for line in lines if line["event"] == "audited call"]
    assert line.items() >= (said | {"token_name": f"{scope}er"}).items()
    # The line of what came of it names the same call.
    assert line["request_id"] == answer.headers["request-id"]
    assert "user_1" not in str(line)


def test_who_expands_is_logged(environment: dict[str, str]) -> None:
    tokens = {"API_TOKENS": "auditor:token-of-the-auditor"}
    stripe = {"STRIPE_API_KEY": "sk_test_1", "STRIPE_API_BASE": "http://127.0.0.1:9"}
    app = create_app(Settings.from_environment(environment | stripe | tokens))
    with TestClient(app) as client, capture_logs() as lines:
        headers = {"Authorization": "Bearer token-of-the-auditor"}
        client.get(f"{SESSIONS}/vs_1?{EXPAND}", headers=headers)
    (line,) = [line for line in lines if line["event"] == "audited call"]
    assert (line["action"], line["token_name"]) == ("retrieve with expand", "auditor")
    assert line["session_id"] == "vs_1"


class Clock:
    """Stands still until it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def gated(clock: Clock) -> tuple[TestClient, list[Refusal]]:
    """An address behind a gate of this clock, and what the gate has refused."""
    refused: list[Refusal] = []
    gate = TokenGate([ApiToken("app", Secret("token-of-the-app"))], refused.append, clock)

    async def nothing(scope: object, receive: object, send: object) -> None:
        raise AssertionError("nothing is let through")

    route = Route("/", nothing, middleware=gate.requiring(READ))
    return TestClient(Starlette(routes=[route])), refused


def test_many_refused_calls_are_told_to_wait_and_a_second_later_a_few_are_told_why() -> None:
    clock = Clock()
    client, refused = gated(clock)
    answers = [client.get("/").status_code for _ in range(BURST + 5)]
    assert answers == [401] * BURST + [429] * 5
    assert client.get("/").headers["retry-after"] == "1"
    clock.now += 1
    assert [client.get("/").status_code for _ in range(11)] == [401] * 10 + [429]
    assert len(refused) == BURST + 17


def test_a_good_token_never_waits(client: TestClient) -> None:
    # While they come, a few more become allowed.
    assert any(client.get("/metrics").status_code == 429 for _ in range(10 * BURST))
    assert client.get("/metrics", headers=bearer(READ)).status_code == 200
