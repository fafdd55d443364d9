"""The team's backend, our application inside the test, and a Stripe in a process of its own."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx2
import pytest
from redis import Redis
from starlette.testclient import TestClient

from app.configuration.settings import Settings
from app.domain.effects import PendingEffect
from app.ledger.rows import ReferenceRecord
from app.operations.apply import apply_observations
from app.web.main import create_app
from tests.sandbox.processes import Sandbox, running
from tests.support.events import session_body
from tests.support.http_server import serving
from tests.support.places import everything
from tests.web.conftest import TOKEN
from workers.context import Context
from workers.jobs import run_effect

BASE = "/v1/verification_sessions"
AT_STRIPE = "/v1/identity/verification_sessions"
EMPTY_LIST = '{"object": "list", "data": [], "has_more": false, "url": "x"}'
BEARER = {"Authorization": f"Bearer {TOKEN}"}

_numbers = itertools.count(1)


@dataclass
class Backend:
    """What the team's backend says to us, and what comes of it at Stripe and in the ledger."""

    client: TestClient
    sandbox: Sandbox
    context: Context

    def get(self, path: str = "", query: str = "", **headers: str) -> httpx2.Response:
        return self.client.get(f"{BASE}{path}?{query}", headers=BEARER | headers)

    def post(
        self, path: str = "", body: Any = None, headers: dict[str, str] | None = None
    ) -> httpx2.Response:
        """With a JSON body."""
        return self.client.post(BASE + path, json=body or {}, headers=BEARER | (headers or {}))

    def form(self, path: str, *pairs: tuple[str, str]) -> httpx2.Response:
        """With a form, as Stripe's own clients send it."""
        return self.client.post(
            BASE + path,
            content=urlencode(pairs),
            headers=BEARER | {"Content-Type": "application/x-www-form-urlencoded"},
        )

    def create(self, reference: str, **params: Any) -> httpx2.Response:
        return self.post("", {"type": "document", "client_reference_id": reference} | params)

    def created(self, reference: str, **params: Any) -> dict[str, Any]:
        """The session that was created or resumed."""
        answer = self.create(reference, **params)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def at_stripe(self, reference: str) -> list[str]:
        """The ids of all the reference's sessions that Stripe has."""
        found = self.sandbox.control("GET", "/sessions")["data"]
        return [each["id"] for each in found if each["client_reference_id"] == reference]

    def record(self, reference: str, account: str = "") -> ReferenceRecord | None:
        return self.context.stores.ledger.read_reference(reference, account=account, livemode=False)

    def see(self, session: str) -> None:
        """Bring what is true of a session now into the ledger, as its event would."""
        observed = self.context.stores.require_stripe().retrieve(session, "")
        apply_observations([observed], self.context.stores, self.context.now())

    def run_effects(self) -> list[PendingEffect]:
        """Run what the ledger has asked for, each once."""
        rows = self.context.stores.ledger.effects_due_unsent(
            4_000_000_000, 100, overdue=4_000_000_000
        )
        for row in rows:
            run_effect(row.pack(), self.context)
        return rows

    def reference(self, reference: str, **query: str) -> httpx2.Response:
        path = f"/v1/references/{quote(reference, safe='')}"
        return self.client.get(path, params=query, headers=BEARER)

    def redact_reference(self, reference: str, query: str = "", **headers: str) -> httpx2.Response:
        path = f"/v1/references/{quote(reference, safe='')}/redact?{query}"
        return self.client.post(path, headers=BEARER | headers)

    def refresh(self, reference: str, query: str = "", **headers: str) -> httpx2.Response:
        path = f"/v1/references/{quote(reference, safe='')}/refresh?{query}"
        return self.client.post(path, headers=BEARER | headers)

    def redis(self) -> str:
        """All that Redis holds."""
        return repr(everything(self.context.stores.events.connection))

    def ledger(self) -> str:
        """All that the ledger holds."""
        with self.context.stores.engine.connect() as connection:
            tables = connection.exec_driver_sql(
                "SELECT name FROM sqlite_master WHERE type = 'table'"
            ).scalars()
            return repr(
                {
                    name: connection.exec_driver_sql(f'SELECT * FROM "{name}"').all()
                    for name in tables
                }
            )


def error_of(answer: httpx2.Response, status: int) -> dict[str, str]:
    """The error of an answer in Stripe's shape."""
    assert answer.status_code == status, (answer.status_code, answer.text)
    error: dict[str, str] = answer.json()["error"]
    assert {"type", "message"} <= set(error) <= {"type", "message", "param", "code"}
    return error


@pytest.fixture
def reference() -> str:
    """A reference that no other test uses."""
    return f"user-{next(_numbers)}"


@pytest.fixture(scope="session")
def stripe_process() -> Iterator[Sandbox]:
    with running() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(stripe_process: Sandbox) -> Iterator[Sandbox]:
    """A Stripe that behaves until the test says otherwise. It delivers no webhook."""
    yield stripe_process
    stripe_process.control("DELETE", "/faults")
    stripe_process.control("POST", "/limits", {"per_second": None})
    stripe_process.control("POST", "/redaction", {"seconds": 4 * 24 * 3600})


@contextmanager
def opened_backend(environment: dict[str, str], sandbox: Sandbox) -> Iterator[Backend]:
    settings = Settings.from_environment(environment)
    context = Context.of(settings)
    with TestClient(create_app(settings), follow_redirects=False) as client:
        yield Backend(client, sandbox, context)
    context.stores.close()


@pytest.fixture
def environment(environment: dict[str, str], sandbox: Sandbox) -> dict[str, str]:
    """The web process' own, with a key of the local Stripe."""
    return environment | {"STRIPE_API_KEY": "sk_test_1", "STRIPE_API_BASE": sandbox.url}


@pytest.fixture
def backend(environment: dict[str, str], sandbox: Sandbox, redis: Redis) -> Iterator[Backend]:
    with opened_backend(environment, sandbox) as backend:
        yield backend


@dataclass
class Recorder:
    """A Stripe that answers all calls alike and keeps what it was asked.

    Only a list of a reference's sessions is answered by an empty one, unless something else is to
    be answered than a session: whoever starts a verification asks for that first.
    """

    url: str = ""
    status: int = 200
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)

    def answer(self, path: str) -> bytes:
        """The body of the answer to a call."""
        lists = path.startswith(AT_STRIPE + "?client_reference_id=")
        session = self.status == 200 and '"object": "identity.verification_session"' in self.body
        return (EMPTY_LIST if lists and session else self.body).encode()

    @property
    def last(self) -> dict[str, str]:
        """The last call: method, path, body, and headers in lower case."""
        return self.asked[-1]


@contextmanager
def recording() -> Iterator[Recorder]:
    recorder = Recorder(body=json.dumps(session_body("vs_1", reference="user-1")))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers["content-length"] or 0)
            asked = {name.lower(): value for name, value in self.headers.items()}
            asked |= {"method": self.command, "path": self.path}
            recorder.asked.append(asked | {"body": self.rfile.read(length).decode()})
            self.send_response_only(recorder.status)
            self.send_header("Date", formatdate(usegmt=True))
            for name, value in recorder.headers.items():
                self.send_header(name, value)
            body = recorder.answer(self.path) if self.command == "GET" else recorder.body.encode()
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.do_GET()

    with serving(Handler) as recorder.url:
        yield recorder


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with recording() as recorder:
        yield recorder


@pytest.fixture
def told(
    environment: dict[str, str], sandbox: Sandbox, recorder: Recorder, redis: Redis
) -> Iterator[Backend]:
    """A backend whose Stripe is the recorder."""
    with opened_backend(environment | {"STRIPE_API_BASE": recorder.url}, sandbox) as backend:
        yield backend


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path
