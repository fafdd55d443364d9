"""Stripe's own packages, pointed at our API, do the whole life of a session."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stripe

from tests.e2e.parts import SECRETS, Product, running
from tests.support.npm import install
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

NODE = Path(__file__).with_name("node")
PAGE = Path(__file__).parents[2] / "docs/how-to/sessions.md"


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with running(tmp_path_factory.mktemp("product")) as product:
        yield product


@pytest.fixture
def client(product: Product) -> stripe.StripeClient:
    return client_of(product, SECRETS.api_token)


def client_of(product: Product, token: str, **options: Any) -> stripe.StripeClient:
    """Stripe's client, with our address and a token for its key."""
    return stripe.StripeClient(token, base_addresses={"api": product.stack.web}, **options)


def standing(client: stripe.StripeClient, user: str, status: str) -> dict[str, Any]:
    """How the user stands, as soon as it is so."""

    def stands() -> dict[str, Any] | None:
        found: Any = client.raw_request("get", f"/v1/references/{user}").data
        return dict(found["standing"]) if found["standing"]["status"] == status else None

    found = eventually(stands, 30)
    assert found is not None
    return found


def test_pythons_package_does_the_whole_life_of_a_session(
    product: Product, client: stripe.StripeClient
) -> None:
    sessions = client.v1.identity.verification_sessions
    reports = client.v1.identity.verification_reports
    user = product.fresh("user")
    created = sessions.create({"type": "document", "client_reference_id": user})
    assert created.client_secret
    assert created["resumed"] is False
    assert created.last_response is not None
    assert created.last_response.request_id
    resumed = sessions.create({"type": "document", "client_reference_id": user})
    assert (resumed.id, resumed["resumed"]) == (created.id, True)
    changed = sessions.update(created.id, {"metadata": {"plan": "gold"}})
    assert changed.metadata.to_dict() == {"plan": "gold"}

    product.sandbox.submit(created.id, "document_expired")
    assert standing(client, user, "requires_input")["session_id"] == created.id
    product.sandbox.submit(created.id, "verified")
    standing(client, user, "verified")
    retrieved = sessions.retrieve(created.id, {"expand": ["verified_outputs"]})
    assert retrieved.status == "verified"
    assert retrieved.verified_outputs is not None
    assert retrieved.verified_outputs.first_name

    again: Any = {"type": "document", "client_reference_id": user, "reverify": True}
    anew = sessions.create(again)
    assert sessions.cancel(anew.id).status == "canceled"
    listed = sessions.list({"client_reference_id": user, "limit": 1})
    assert [each.id for each in listed.auto_paging_iter()] == [anew.id, created.id]
    found = reports.list({"verification_session": created.id, "limit": 1})
    ids = [each.id for each in found.auto_paging_iter()]
    assert len(ids) == 2
    assert ids[0] == retrieved.last_verification_report
    report = reports.retrieve(ids[0])
    assert report.document is not None
    assert report.document.status == "verified"
    redacted = sessions.redact(created.id)
    assert redacted.redaction is not None
    assert redacted.redaction.status == "processing"


def test_pythons_package_raises_its_own_exceptions(
    product: Product, client: stripe.StripeClient
) -> None:
    sessions = client.v1.identity.verification_sessions
    with pytest.raises(stripe.InvalidRequestError, match="No such") as missing:
        sessions.retrieve("vs_unknown")
    assert (missing.value.code, missing.value.http_status) == ("resource_missing", 404)
    assert missing.value.request_id
    unknown: Any = {"type": "document", "client_reference_id": product.fresh("u"), "color": "red"}
    with pytest.raises(stripe.InvalidRequestError, match="Received unknown parameter: color"):
        sessions.create(unknown)
    wrong = client_of(product, "wrong").v1.identity
    with pytest.raises(stripe.AuthenticationError):
        wrong.verification_sessions.list()
    with pytest.raises(stripe.AuthenticationError):
        wrong.verification_reports.list()


class CountingClient(stripe.RequestsClient):
    """The package's own HTTP client, which counts the requests that it sends."""

    sent = 0

    def request(self, *args: Any, **kwargs: Any) -> Any:
        self.sent += 1
        return super().request(*args, **kwargs)


def test_pythons_package_does_not_repeat_a_call_that_our_rules_refuse(
    product: Product, client: stripe.StripeClient
) -> None:
    user = product.fresh("user")
    params: Any = {"type": "document", "client_reference_id": user}
    made = client.v1.identity.verification_sessions.create(params)
    product.sandbox.submit(made.id, "verified")
    standing(client, user, "verified")
    counting = CountingClient()
    counted = client_of(product, SECRETS.api_token, http_client=counting, max_network_retries=2)
    with pytest.raises(stripe.APIError, match="already verified") as refused:
        counted.v1.identity.verification_sessions.create(params)
    assert refused.value.http_status == 409
    assert refused.value.error is not None
    assert refused.value.error.code == "reference_verified"
    assert counting.sent == 1


def test_pythons_package_may_give_a_key_of_the_callers(
    product: Product, client: stripe.StripeClient
) -> None:
    sessions = client.v1.identity.verification_sessions
    user = product.fresh("user")
    params: Any = {"type": "document", "client_reference_id": user}
    keyed: stripe.RequestOptions = {"idempotency_key": f"key-of-{user}"}
    made = sessions.create(params, keyed)
    assert sessions.create(params, keyed).id == made.id
    with pytest.raises(stripe.IdempotencyError, match="same parameters"):
        sessions.create(params | {"metadata": {"plan": "gold"}}, keyed)
    keyed["idempotency_key"] = "k" * 256
    with pytest.raises(stripe.InvalidRequestError, match="at most 255"):
        sessions.create(params, keyed)


def test_pythons_package_may_be_pointed_here_as_a_whole(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stripe, "api_base", product.stack.web)
    monkeypatch.setattr(stripe, "api_key", SECRETS.api_token)
    user = product.fresh("user")
    made = stripe.identity.VerificationSession.create(type="document", client_reference_id=user)
    assert made.cancel().status == "canceled"
    listed = stripe.identity.VerificationSession.list(client_reference_id=user)
    assert [each.id for each in listed.auto_paging_iter()] == [made.id]


def test_pythons_package_names_the_connected_account(
    product: Product, client: stripe.StripeClient
) -> None:
    sessions = client.v1.identity.verification_sessions
    user = product.fresh("user")
    made = sessions.create(
        {"type": "document", "client_reference_id": user}, {"stripe_account": "acct_connected"}
    )
    path = f"/v1/references/{user}"
    found: Any = client.raw_request("get", path, stripe_account="acct_connected").data
    assert (found["account"], found["standing"]["session_id"]) == ("acct_connected", made.id)
    with pytest.raises(stripe.InvalidRequestError):
        sessions.retrieve(made.id)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Stripe's package for Node; what is installed is what the lock says."""
    return install(NODE, tmp_path_factory.mktemp("node"))


def run_node(node: Path, script: str, product: Product, **environment: str) -> str:
    """What the script in that folder prints."""
    ran = subprocess.run(
        ["node", script],
        cwd=node,
        env={
            "PATH": os.environ["PATH"],
            "WEB": product.stack.web,
            "SANDBOX": product.stack.sandbox,
            "API_TOKEN": SECRETS.api_token,
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_nodes_package_does_the_whole_life_of_a_session(product: Product, node: Path) -> None:
    assert run_node(node, "life.mjs", product, USER_ID=product.fresh("user")) == "lived\n"


def test_the_lock_pins_what_is_installed_and_names_no_registry() -> None:
    packages = json.loads((NODE / "package-lock.json").read_text())["packages"]
    installed = {name: package for name, package in packages.items() if name}
    assert installed.keys() == {"node_modules/stripe"}
    for package in installed.values():
        assert package["integrity"].startswith("sha512-")
        assert "resolved" not in package


def documented_example(language: str, made_by: str) -> str:
    """The page's code in that language that has these words."""
    blocks = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (found,) = (block for block in blocks if made_by in block)
    return str(found)


def test_the_documented_example_in_python_works(
    product: Product, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example = documented_example("python", "StripeClient")
    assert "https://YOUR-HOST" in example
    monkeypatch.setenv("IDENTITY_TOKEN", SECRETS.api_token)
    exec(compile(example.replace("https://YOUR-HOST", product.stack.web), PAGE.name, "exec"), {})
    assert capsys.readouterr().out.startswith(product.stack.sandbox)


def test_the_documented_example_in_javascript_works(product: Product, node: Path) -> None:
    example = documented_example("js", "new Stripe")
    assert 'host: "YOUR-HOST"' in example
    _, _, port = product.stack.web.rpartition(":")
    here = f'protocol: "http", host: "127.0.0.1", port: {port}'
    (node / "documented.mjs").write_text(example.replace('host: "YOUR-HOST"', here))
    printed = run_node(node, "documented.mjs", product, IDENTITY_TOKEN=SECRETS.api_token)
    assert printed.startswith(product.stack.sandbox)
