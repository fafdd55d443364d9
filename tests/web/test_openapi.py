"""The description at /openapi.json, and the process held to it by Schemathesis."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from inspect import get_annotations
from pathlib import Path
from typing import Any

import pytest
import requests
from redis import Redis
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient
from stripe import RequestOptions
from stripe.params.identity import (
    VerificationReportListParams,
    VerificationReportRetrieveParams,
    VerificationSessionCancelParams,
    VerificationSessionCreateParams,
    VerificationSessionCreateParamsOptions,
    VerificationSessionCreateParamsOptionsDocument,
    VerificationSessionListParams,
    VerificationSessionModifyParams,
    VerificationSessionRedactParams,
)

from app.local.valkey import Valkey
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
        for path in description["paths"]
        for method in set(item_at(description, path)) - {"parameters"}
    }
    assert described == served


def item_at(description: dict[str, Any], path: str) -> dict[str, Any]:
    """What is said of a path, there or where its `$ref` points."""
    item: dict[str, Any] = description["paths"][path]
    if "$ref" not in item:
        return item
    prefix, _, name = item["$ref"].rpartition("/")
    assert prefix == "#/paths"
    return item_at(description, name.replace("~1", "/"))


def test_stripes_paths_are_described_as_ours_are(description: dict[str, Any]) -> None:
    ours = [path for path in description["paths"] if path.startswith("/v1/verification_sessions")]
    assert len(ours) == 4
    for path in ours:
        alias = path.replace("/v1/", "/v1/identity/")
        assert item_at(description, alias) is item_at(description, path)


def own_parameters(of: type) -> set[str]:
    """The parameters of a call, as the package's types name them."""
    return set(get_annotations(of)) - set(get_annotations(RequestOptions))


def test_it_names_the_parameters_that_stripes_package_has(description: dict[str, Any]) -> None:
    def of_body(path: str) -> dict[str, Any]:
        content = description["paths"][path]["post"]["requestBody"]["content"]
        return dict(content["application/json"]["schema"]["properties"])

    base = "/v1/verification_sessions"
    create, update = of_body(base), of_body(base + "/{id}")
    assert set(create) == own_parameters(VerificationSessionCreateParams) | {"reverify"}
    assert set(update) == own_parameters(VerificationSessionModifyParams)
    for how, params in (
        ("cancel", VerificationSessionCancelParams),
        ("redact", VerificationSessionRedactParams),
    ):
        assert set(of_body(f"{base}/{{id}}/{how}")) == own_parameters(params)
    schemas = description["components"]["schemas"]
    options = schemas["Options"]["properties"]
    assert set(options) == own_parameters(VerificationSessionCreateParamsOptions)
    assert set(options["document"]["oneOf"][0]["properties"]) == own_parameters(
        VerificationSessionCreateParamsOptionsDocument
    )


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/v1/verification_sessions", VerificationSessionListParams),
        ("/v1/identity/verification_reports", VerificationReportListParams),
        ("/v1/identity/verification_reports/{id}", VerificationReportRetrieveParams),
    ],
)
def test_it_names_the_filters_that_stripes_package_has(
    description: dict[str, Any], path: str, params: type
) -> None:
    named = description["components"]["parameters"]
    call = description["paths"][path]["get"]
    listed = [named[each["$ref"].rpartition("/")[2]] for each in call["parameters"]]
    queried = {each["name"].removesuffix("[]") for each in listed if each["in"] == "query"}
    assert queried == own_parameters(params)


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
            # Described as ours are, and served by the same code: once is enough.
            *("--exclude-path-regex", "^/v1/identity/verification_sessions"),
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
