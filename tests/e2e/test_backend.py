"""A team's backend takes users to verified over HTTP alone: docs/how-to/sessions.md, in Python."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.e2e.parts import SECRETS, Product, running
from tests.e2e.test_canaries import places_with
from tests.support.waiting import eventually

RESTRICTED = "rk_test_" + "r" * 32
PLANTED = "K4NARY"


class Backend:
    """It knows two addresses, ours and the person's, and one token."""

    def __init__(self, product: Product) -> None:
        self._product = product
        self._http = requests.Session()
        self._http.headers["Authorization"] = f"Bearer {SECRETS.api_token}"

    def start(self, user: str, status: int = 200, **params: Any) -> Any:
        """What our web process answers to a start."""
        answer = self._http.post(
            self._product.stack.web + "/v1/verification_sessions",
            data={"type": "document", "client_reference_id": user} | params,
            timeout=30,
        )
        assert answer.status_code == status, answer.text
        return answer.json()

    def call(self, method: str, path: str, **sent: Any) -> requests.Response:
        """Any other call of ours."""
        url = f"{self._product.stack.web}/v1/{path}"
        return self._http.request(method, url, timeout=30, **sent)

    def person(self, session: dict[str, Any], outcome: str) -> None:
        """The person opens the session's link, and is done with an outcome."""
        assert requests.get(session["url"], timeout=30).ok
        self._product.sandbox.submit(session["id"], outcome)

    def await_standing(self, user: str, **expected: Any) -> dict[str, Any]:
        """How the user stands, as soon as it is so."""

        def stands() -> dict[str, Any] | None:
            url = f"{self._product.stack.web}/v1/references/{user}"
            answer = self._http.get(url, timeout=30)
            assert answer.ok, answer.text
            standing: dict[str, Any] = answer.json()["standing"]
            return standing if expected.items() <= standing.items() else None

        found = eventually(stands, 30)
        assert found is not None
        return found


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    folder = tmp_path_factory.mktemp("product")
    with running(folder, STRIPE_RESTRICTED_KEY=RESTRICTED) as product:
        yield product


@pytest.fixture
def backend(product: Product) -> Backend:
    return Backend(product)


def test_a_user_is_taken_from_nothing_to_verified(backend: Backend) -> None:
    session = backend.start("user_1")
    assert session["resumed"] is False
    # Before any event of it has come.
    backend.await_standing("user_1", status="requires_input", next_step="submit")
    backend.person(session, "verified")
    standing = backend.await_standing("user_1", status="verified", attempts=0, next_step="none")
    assert standing["session_id"] == session["id"]
    assert backend.start("user_1", 409)["error"]["code"] == "reference_verified"


def test_a_user_who_fails_first_goes_on_in_the_same_session(backend: Backend) -> None:
    session = backend.start("user_2")
    backend.person(session, "document_expired")
    backend.await_standing(
        "user_2",
        status="requires_input",
        attempts=1,
        last_error_code="document_expired",
        next_step="use_another_document",
    )
    resumed = backend.start("user_2")
    assert (resumed["id"], resumed["resumed"]) == (session["id"], True)
    assert resumed["url"] != session["url"]
    backend.person(resumed, "verified")
    backend.await_standing(
        "user_2", status="verified", session_id=session["id"], attempts=1, last_error_code=None
    )


def test_a_user_who_closes_the_link_comes_back_to_it(backend: Backend) -> None:
    session = backend.start("user_3")
    backend.person(session, "walk_away")
    resumed = backend.start("user_3")
    assert (resumed["id"], resumed["resumed"]) == (session["id"], True)
    backend.person(resumed, "verified")
    backend.await_standing("user_3", status="verified")


def test_a_user_of_a_weak_check_is_taken_to_a_strong_one(backend: Backend) -> None:
    selfie: dict[str, Any] = {"options[document][require_matching_selfie]": "true"}
    weak = backend.start("user_6")
    backend.person(weak, "verified")
    backend.await_standing("user_6", status="verified")
    time.sleep(1)  # of two that were verified in one second, neither is the later one
    strong = backend.start("user_6", **selfie)
    assert strong["resumed"] is False
    backend.person(strong, "verified")
    backend.await_standing("user_6", status="verified", session_id=strong["id"])
    for params in ({}, selfie):
        assert backend.start("user_6", 409, **params)["error"]["code"] == "reference_verified"


def test_a_user_whose_webhooks_are_lost_is_refreshed(product: Product, backend: Backend) -> None:
    product.sandbox.control("webhooks", {"enabled": False})
    try:
        session = backend.start("user_7")
        backend.person(session, "verified")
        assert backend.start("user_7", 409)["error"]["code"] == "reference_verified"
        told = backend.call("POST", "references/user_7/refresh").json()
    finally:
        product.sandbox.control("webhooks", {"enabled": True})
    assert told["standing"]["status"] == "verified"
    backend.await_standing("user_7", status="verified", session_id=session["id"])


def test_what_passes_through_stays_nowhere_on_the_way(product: Product, backend: Backend) -> None:
    given = {
        "type": "document",
        "client_reference_id": "user_4",
        "metadata": {"note": f"{PLANTED}-metadata"},
        "provided_details": {"email": f"{PLANTED}@example.com"},
        "return_url": f"https://example.com/{PLANTED}",
    }
    control = product.sandbox.control
    sessions = "/v1/identity/verification_sessions"
    for fault in ({"status": 500}, {"status": 400}, {"hang_up": "after"}):
        control("faults", {"path": sessions, "method": "POST", **fault})
        assert backend.call("POST", "verification_sessions", json=given).status_code >= 400
    made = backend.call("POST", "verification_sessions", json=given).json()
    path = f"verification_sessions/{made['id']}"
    secrets = [made["client_secret"], made["url"]]
    outputs = {"first_name": f"{PLANTED}-name", "dob": {"year": 1999, "month": 1, "day": 1}}
    for outcome in ("document_expired", "verified"):
        control(
            f"sessions/{made['id']}/submit",
            {"outcome": outcome, "reason": f"{PLANTED}-reason", "verified_outputs": outputs},
        )
        told = backend.call("GET", path, params={"expand[]": "last_verification_report"}).json()
        secrets += [told["client_secret"], told["url"]]
    backend.await_standing("user_4", status="verified")
    expand = {"expand[]": ["verified_outputs", "verified_outputs.dob"]}
    expanded = backend.call("GET", path, params=expand).json()["verified_outputs"]
    assert (expanded["first_name"], expanded["dob"]) == (f"{PLANTED}-name", outputs["dob"])
    query = {"verification_session": made["id"], "expand[]": "data.document.dob"}
    reports = backend.call("GET", "identity/verification_reports", params=query).json()["data"]
    assert f"{PLANTED}-name" in json.dumps(reports)
    for report in reports:
        assert backend.call("GET", f"identity/verification_reports/{report['id']}").ok
    for body in (f'{{"{PLANTED}', f'{{"{PLANTED}": 1}}', f'{{"expand": ["{PLANTED}"]}}'):
        headers = {"Content-Type": "application/json", "Idempotency-Key": f"{PLANTED}-key"}
        assert backend.call("POST", path, data=body, headers=headers).status_code == 400
    assert backend.call("POST", "references/user_4/redact").status_code == 202
    backend.await_standing("user_4", status="verified", redaction="processing")
    kept = [secret for secret in secrets if secret]
    assert len(kept) == 4
    for secret in (PLANTED, *kept, *(url.rpartition("/")[2] for url in kept), RESTRICTED):
        assert places_with(secret, product) == []
    assert places_with(made["id"], product) != []  # the search does find what is kept


def test_a_session_is_in_the_ledger_though_no_event_ever_comes(
    product: Product, backend: Backend
) -> None:
    product.sandbox.control("webhooks", {"enabled": False})
    try:
        session = backend.start("user_5")
        standing = backend.await_standing("user_5", status="requires_input")
    finally:
        product.sandbox.control("webhooks", {"enabled": True})
    assert standing["session_id"] == session["id"]
