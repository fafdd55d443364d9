"""The description at /openapi.json, and the process held to it by Schemathesis."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from redis import Redis
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from app.local.valkey import Valkey
from app.web import verification_sessions as calls
from tests.sandbox.processes import Sandbox
from tests.sandbox.processes import running as sandbox_running
from tests.web.conftest import TOKEN, settings_of
from tests.web.processes import Web, running

SCHEMATHESIS = Path(sys.executable).parent / "schemathesis"
# What the description promises; not that whatever it allows is taken, which Stripe decides.
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_headers_conformance,response_schema_conformance,ignored_auth"
)


@pytest.fixture
def description(client: TestClient) -> dict[str, Any]:
    return dict(client.get("/openapi.json").json())


def test_it_is_served_without_a_token(client: TestClient) -> None:
    answer = client.get("/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["openapi"].startswith("3.1")


def test_it_describes_every_address_and_no_other(
    application: TestClient, description: dict[str, Any]
) -> None:
    assert isinstance(application.app, Starlette)
    served = {
        (re.sub(r"\{reference:reference\}", "{client_reference_id}", route.path), method.lower())
        for route in application.app.routes
        if isinstance(route, Route) and not route.path.startswith("/console")
        for method in (route.methods or set()) - {"HEAD"}
    }
    described = {
        (path, method)
        for path, item in description["paths"].items()
        for method in set(item) - {"parameters"}
    }
    assert described == served


def test_it_names_the_parameters_that_are_taken(description: dict[str, Any]) -> None:
    def of_body(path: str) -> set[str]:
        content = description["paths"][path]["post"]["requestBody"]["content"]
        return set(content["application/json"]["schema"]["properties"])

    base = "/v1/verification_sessions"
    assert of_body(base) == calls.CREATE_PARAMETERS
    assert of_body(base + "/{id}") == calls.UPDATE_PARAMETERS
    assert of_body(base + "/{id}/cancel") == of_body(base + "/{id}/redact") == calls.EXPAND_ONLY
    named = description["components"]["parameters"]
    listed = [
        named[each["$ref"].rpartition("/")[2]]
        for each in description["paths"][base]["get"]["parameters"]
    ]
    queried = {each["name"].removesuffix("[]") for each in listed if each["in"] == "query"}
    assert queried == calls.LIST_PARAMETERS


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with sandbox_running() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def web(
    valkey: Valkey, migrated: Path, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Web]:
    folder = tmp_path_factory.mktemp("described")
    ledger = shutil.copy(migrated, folder / "ledger.db")
    environment = settings_of(valkey.url, f"sqlite:///{ledger}")
    stripe = {"STRIPE_API_KEY": "sk_test_1", "STRIPE_API_BASE": sandbox.url}
    with running(folder, **environment, **stripe) as web:
        yield web


@pytest.fixture
def user_1(web: Web, sandbox: Sandbox, redis: Redis) -> None:
    """The user of the description's example has a session, so that there is something to read."""
    answer = requests.post(
        f"http://127.0.0.1:{web.port}/v1/verification_sessions",
        json={"type": "document", "client_reference_id": "user_1"},
        headers={"Authorization": f"Bearer {TOKEN}"},
        timeout=20,
    )
    assert answer.ok, answer.text


@pytest.mark.usefixtures("user_1")
@pytest.mark.parametrize(
    ("phases", "examples"),
    [
        ("examples,fuzzing", 10),
        pytest.param("examples,coverage,fuzzing,stateful", 100, marks=pytest.mark.slow),
    ],
)
def test_every_call_is_answered_as_described(
    web: Web, tmp_path: Path, phases: str, examples: int
) -> None:
    ran = subprocess.run(
        [
            SCHEMATHESIS,
            "run",
            f"http://127.0.0.1:{web.port}/openapi.json",
            *("--header", f"Authorization: Bearer {TOKEN}"),
            *("--phases", phases),
            *("--max-examples", str(examples)),
            *("--checks", CHECKS),
            *("--generation-database", "none"),
            *("--suppress-health-check", "all"),
            *("--warnings", "off"),
            *("--seed", "1"),
            "--no-color",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-8_000:]
    assert re.search(r"\b(\d{3,}) generated, \1 passed", ran.stdout), ran.stdout[-2_000:]
    log = web.log.read_text()
    assert "request failed" not in log
    assert "Traceback" not in log
