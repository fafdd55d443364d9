"""`GET /v1/references/…` as the team's backend asks it."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from starlette.testclient import TestClient

from app.configuration.settings import Settings
from app.domain.session import Observation
from app.ledger.engine import open_engine
from app.ledger.ledger import Ledger
from app.web.main import create_app
from tests.support.ledger import NOW, POLICY, life, observation
from tests.web.conftest import OTHER_TOKEN, TOKEN

BEARER = {"Authorization": f"Bearer {TOKEN}"}


class Backend:
    """The team's backend, and the ledger that it asks."""

    def __init__(self, client: TestClient, ledger: Ledger) -> None:
        self._client = client
        self._ledger = ledger

    def apply(self, *seen: Observation) -> None:
        """Have the ledger take these."""
        for one in seen:
            self._ledger.apply([one], policy=POLICY, now=NOW)

    def ask(self, reference: str, **query: Any) -> httpx2.Response:
        """The answer for a reference."""
        path = f"/v1/references/{quote(reference, safe='')}"
        return self._client.get(path, params=query, headers=BEARER)


@pytest.fixture
def ledger(database_url: str) -> Iterator[Ledger]:
    """The ledger that the application reads."""
    ledger = Ledger(open_engine(database_url))
    yield ledger
    ledger.close()


@pytest.fixture
def client(environment: dict[str, str]) -> Iterator[TestClient]:
    """The application on that ledger."""
    with TestClient(create_app(Settings.from_environment(environment))) as client:
        yield client


@pytest.fixture
def backend(client: TestClient, ledger: Ledger) -> Backend:
    return Backend(client, ledger)


def assert_error(answer: httpx2.Response, status: int, type: str) -> dict[str, str]:
    assert answer.status_code == status, answer.text
    error: dict[str, str] = answer.json()["error"]
    assert set(error) <= {"type", "message", "param"}
    assert error["type"] == type
    assert error["message"]
    return error


def test_a_reference_is_answered_as_documented(backend: Backend) -> None:
    backend.apply(*life(), observation("requires_input", 500, session="vs_2", created=500))
    answer = backend.ask("user_1")
    assert answer.status_code == 200
    told = answer.json()
    timeline = told.pop("timeline")
    assert told == {
        "client_reference_id": "user_1",
        "account": "",
        "livemode": False,
        "purpose": "",
        "standing": {
            "status": "verified",
            "session_id": "vs_1",
            "since": 140,
            "verified_at": 140,
            "attempts": 1,
            "last_error_code": None,
            "next_step": "none",
            "redaction": None,
            "type": "document",
            "verification_flow": None,
            "options": None,
            "version": NOW + 4,
            "attempts_counted": 0,
            "attempts_granted": 0,
            "verified_until": None,
        },
        "sessions": [
            {
                "id": "vs_2",
                "status": "requires_input",
                "type": "document",
                "verification_flow": None,
                "options": None,
                "created": 500,
                "since": 500,
                "attempts": 0,
                "last_error_code": None,
                "redaction": None,
                "missing": False,
            },
            {
                "id": "vs_1",
                "status": "verified",
                "type": "document",
                "verification_flow": None,
                "options": None,
                "created": 100,
                "since": 140,
                "attempts": 1,
                "last_error_code": None,
                "redaction": None,
                "missing": False,
            },
        ],
    }
    assert [line["version"] for line in timeline] == list(range(NOW, NOW + 5))
    assert timeline[2] == {
        "version": NOW + 2,
        "previous_status": "processing",
        "status": "requires_input",
        "session_id": "vs_1",
        "attempts": 1,
        "last_error_code": "abandoned",
        "next_step": "retry",
        "redaction": None,
        "cause": "requires_input",
        "cause_session_id": "vs_1",
        "event_id": "evt_1_120_requires_input",
        "as_of": 120,
        "at": NOW,
        "note": None,
    }


def test_an_answer_is_not_kept_by_caches(backend: Backend) -> None:
    backend.apply(*life())
    assert backend.ask("user_1").headers["cache-control"] == "no-store"


def test_an_unknown_reference_is_404(backend: Backend) -> None:
    error = assert_error(backend.ask("nobody"), 404, "invalid_request_error")
    assert error["param"] == "client_reference_id"
    assert error["message"] == (
        "no session of this client_reference_id is known in this mode and account"
    )


@pytest.mark.parametrize(
    "reference",
    [
        "a/b",
        "/",
        "a//b/",
        "a?livemode=true",
        "a#b",
        "%",
        "a b+c",
        " ",
        "ünï 用户 \N{GRINNING FACE}",
        "line\nbreak",
        "ends in a line break\n",
        "\n",
        "user_1\r",
        "a\x7f\x01b",
        "\N{GRINNING FACE}" * 5_000,
    ],
    ids=lambda reference: repr(reference[:20]),
)
def test_every_reference_can_be_asked_for(backend: Backend, reference: str) -> None:
    backend.apply(observation("verified", 100, reference=reference))
    answer = backend.ask(reference)
    assert answer.status_code == 200, answer.text
    assert answer.json()["client_reference_id"] == reference


def test_a_line_break_more_is_another_reference(backend: Backend) -> None:
    backend.apply(observation("verified", 100, reference="user_1"))
    assert_error(backend.ask("user_1\n"), 404, "invalid_request_error")


@pytest.mark.parametrize(
    "path", ["%00", "a%00b", "%ff%fe", "%ED%A0%80", "%", "%zz", "a" * 5_001, ""]
)
def test_what_can_name_nobody_is_404(client: TestClient, path: str) -> None:
    assert_error(client.get(f"/v1/references/{path}", headers=BEARER), 404, "invalid_request_error")


def test_test_mode_is_the_default_without_an_api_key(backend: Backend) -> None:
    backend.apply(observation("verified", 100, livemode=True))
    assert_error(backend.ask("user_1"), 404, "invalid_request_error")
    assert backend.ask("user_1", livemode="true").json()["livemode"] is True


@pytest.mark.parametrize(("key", "livemode"), [("sk_test_1", False), ("rk_live_1", True)])
def test_the_default_mode_is_that_of_the_api_key(
    environment: dict[str, str], ledger: Ledger, key: str, livemode: bool
) -> None:
    settings = Settings.from_environment(environment | {"STRIPE_API_KEY": key})
    with TestClient(create_app(settings)) as client:
        backend = Backend(client, ledger)
        backend.apply(observation("verified", 100, livemode=livemode))
        assert backend.ask("user_1").json()["livemode"] is livemode
        other = str(not livemode).lower()
        assert_error(backend.ask("user_1", livemode=other), 404, "invalid_request_error")


def test_accounts_are_kept_apart(backend: Backend) -> None:
    backend.apply(observation("verified", 100, account="acct_1"))
    assert_error(backend.ask("user_1"), 404, "invalid_request_error")
    assert_error(backend.ask("user_1", account="acct_2"), 404, "invalid_request_error")
    assert backend.ask("user_1", account="acct_1").json()["account"] == "acct_1"


@pytest.mark.parametrize("name", ["livemode", "account"])
@pytest.mark.parametrize("value", ["True", "1", "\0", "a b", "\N{SNOWMAN}", "x" * 256])
def test_a_query_that_means_nothing_is_400(backend: Backend, name: str, value: str) -> None:
    answer = backend.ask("user_1", **{name: value})
    if name == "account" and value in ("True", "1"):
        assert answer.status_code == 404
    else:
        assert assert_error(answer, 400, "invalid_request_error")["param"] == name


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN},{OTHER_TOKEN}",
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer {TOKEN.upper()}",
        "Bearer é",
    ],
)
def test_no_token_is_401(application: TestClient, given: str | None) -> None:
    headers = {} if given is None else {b"Authorization": given.encode("utf-8")}
    answer = application.get("/v1/references/user_1", headers=headers)
    assert_error(answer, 401, "authentication_error")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert TOKEN not in answer.text


@pytest.mark.parametrize("path", ["", "line%0Abreak", "%0A", "a/b"])
def test_no_token_is_401_whatever_the_reference(client: TestClient, path: str) -> None:
    assert_error(client.get(f"/v1/references/{path}"), 401, "authentication_error")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
@pytest.mark.parametrize("token", [TOKEN, OTHER_TOKEN])
def test_each_token_opens(client: TestClient, scheme: str, token: str) -> None:
    headers = {"Authorization": f"{scheme} {token}"}
    assert client.get("/v1/references/user_1", headers=headers).status_code == 404


@pytest.mark.parametrize("given", [{}, BEARER, {"Authorization": "Bearer "}])
def test_without_tokens_every_request_is_401(
    environment: dict[str, str], given: dict[str, str]
) -> None:
    settings = Settings.from_environment(environment | {"API_TOKENS": ""})
    with TestClient(create_app(settings)) as client:
        answer = client.get("/v1/references/user_1", headers=given)
    assert "API_TOKENS" in assert_error(answer, 401, "authentication_error")["message"]


@pytest.mark.parametrize("given", [TOKEN, OTHER_TOKEN, "wrong"])
def test_every_token_is_compared_in_constant_time(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    compared = []

    def spy(left: bytes, right: bytes) -> bool:
        compared.append((left, right))
        return left == right

    monkeypatch.setattr(hmac, "compare_digest", spy)
    client.get("/v1/references/user_1", headers={"Authorization": f"Bearer {given}"})
    assert compared == [(given.encode(), TOKEN.encode()), (given.encode(), OTHER_TOKEN.encode())]


@pytest.mark.parametrize("name", ["no such folder/ledger.db", "never migrated.db"])
def test_if_the_ledger_is_away_the_answer_is_503(
    environment: dict[str, str], tmp_path: Path, name: str
) -> None:
    away = {"DATABASE_URL": f"sqlite:///{tmp_path / name}"}
    with TestClient(create_app(Settings.from_environment(environment | away))) as client:
        answer = client.get("/v1/references/user_1", headers=BEARER)
    assert assert_error(answer, 503, "api_error")["message"] == "the ledger cannot be read"
    assert int(answer.headers["retry-after"]) > 0
    assert str(tmp_path) not in answer.text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_reference_cannot_be_written(client: TestClient, method: str) -> None:
    answer = client.request(method, "/v1/references/user_1", headers=BEARER)
    assert_error(answer, 405, "invalid_request_error")
