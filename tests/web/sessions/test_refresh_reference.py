"""`POST /v1/references/{id}/refresh`: Stripe is asked now, and what has changed is told."""

from __future__ import annotations

from typing import Any

import pytest
from redis import Redis

from app.operations import ask_reference
from tests.sandbox.processes import Sandbox, running
from tests.web.sessions.conftest import AT_STRIPE, BEARER, Backend, error_of, opened_backend


def refreshed(backend: Backend, reference: str, **headers: str) -> dict[str, Any]:
    answer = backend.refresh(reference, **headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return dict(answer.json())


def elsewhere(sandbox: Sandbox, **params: Any) -> str:
    """A session that was not made through us."""
    sessions: Any = sandbox.client().v1.identity.verification_sessions
    return str(sessions.create({"type": "document", **params}).id)


def test_a_lost_webhook_is_made_up_for(backend: Backend, sandbox: Sandbox, reference: str) -> None:
    made = backend.created(reference)
    sandbox.submit(made["id"], "verified")
    told = refreshed(backend, reference)
    assert (told["client_reference_id"], told["account"], told["livemode"]) == (
        reference,
        "",
        False,
    )
    assert told["changed"] is True
    assert told["standing_before"]["status"] == "requires_input"
    assert told["standing"] == backend.reference(reference).json()["standing"]
    assert told["standing"]["status"] == "verified"
    assert told["sessions"] == [
        {
            "id": made["id"],
            "outcome": "changed",
            "status_before": "requires_input",
            "status": "verified",
        }
    ]
    assert told["complete"] is True


def test_what_is_as_it_was_is_told_so(backend: Backend, reference: str) -> None:
    backend.created(reference)
    told = refreshed(backend, reference)
    assert told["changed"] is False
    assert told["standing"] == told["standing_before"]
    assert [session["outcome"] for session in told["sessions"]] == ["unchanged"]


def test_a_user_whose_events_never_came_is_found_at_stripe(
    backend: Backend, sandbox: Sandbox, reference: str
) -> None:
    old = elsewhere(sandbox, client_reference_id=reference)
    sandbox.submit(old, "verified")
    new = elsewhere(sandbox, client_reference_id=reference)
    told = refreshed(backend, reference)
    assert told["standing_before"] is None
    assert told["changed"] is True
    assert told["standing"]["status"] == "verified"
    assert {s["id"]: (s["outcome"], s["status_before"]) for s in told["sessions"]} == {
        new: ("new", None),
        old: ("new", None),
    }


def test_the_team_is_notified_of_what_is_found(
    environment: dict[str, str], sandbox: Sandbox, redis: Redis, reference: str
) -> None:
    with opened_backend(environment | {"NOTIFY_STREAM": "changes"}, sandbox) as backend:
        elsewhere(sandbox, client_reference_id=reference)
        refreshed(backend, reference)
        assert [effect.kind for effect in backend.run_effects()] == ["notify"]


def test_a_session_that_names_its_user_in_metadata_is_asked_about_too(
    backend: Backend, sandbox: Sandbox, reference: str
) -> None:
    id = elsewhere(sandbox, metadata={"user_id": reference})
    backend.see(id)
    sandbox.submit(id, "verified")
    told = refreshed(backend, reference)
    assert [(s["id"], s["outcome"]) for s in told["sessions"]] == [(id, "changed")]
    assert told["standing"]["status"] == "verified"


def test_a_session_that_stripe_does_not_know_is_missing_until_it_does(
    environment: dict[str, str], redis: Redis, backend: Backend, reference: str
) -> None:
    made = backend.created(reference)
    with (
        running() as other,
        opened_backend(environment | {"STRIPE_API_BASE": other.url}, other) as moved,
    ):
        told = refreshed(moved, reference)
        assert [s["outcome"] for s in told["sessions"]] == ["missing"]
        (session,) = backend.reference(reference).json()["sessions"]
        assert (session["id"], session["missing"]) == (made["id"], True)
    assert [s["outcome"] for s in refreshed(backend, reference)["sessions"]] == ["unchanged"]
    (session,) = backend.reference(reference).json()["sessions"]
    assert session["missing"] is False


def test_all_pages_of_the_list_are_read(
    backend: Backend, sandbox: Sandbox, reference: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [elsewhere(sandbox, client_reference_id=reference) for _ in range(3)]
    monkeypatch.setattr(ask_reference, "PAGE_SIZE", 1)
    told = refreshed(backend, reference)
    assert {session["id"] for session in told["sessions"]} == set(made)
    assert told["complete"] is True


def test_what_is_not_asked_about_is_told(
    backend: Backend, sandbox: Sandbox, reference: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        backend.see(elsewhere(sandbox, client_reference_id=reference))
    monkeypatch.setattr(ask_reference, "PAGE_SIZE", 1)
    monkeypatch.setattr(ask_reference, "MAX_PAGES", 1)
    monkeypatch.setattr(ask_reference, "MAX_RETRIEVED", 0)
    told = refreshed(backend, reference)
    assert sorted(session["outcome"] for session in told["sessions"]) == ["not_asked", "unchanged"]
    assert told["complete"] is False


def test_a_reference_that_is_too_long_to_list_by_is_asked_about_by_its_known_sessions(
    backend: Backend, sandbox: Sandbox
) -> None:
    long = "\N{GRINNING FACE}" * 1_000
    made = backend.created(long)
    sandbox.submit(made["id"], "verified")
    assert refreshed(backend, long)["standing"]["status"] == "verified"


def test_accounts_are_kept_apart(backend: Backend, reference: str) -> None:
    own = backend.created(reference)["id"]
    params = {"type": "document", "client_reference_id": reference}
    other = backend.post("", params, {"Stripe-Account": "acct_1"}).json()["id"]
    told = refreshed(backend, reference)
    assert [session["id"] for session in told["sessions"]] == [own]
    told = refreshed(backend, reference, **{"Stripe-Account": "acct_1"})
    assert ([session["id"] for session in told["sessions"]], told["account"]) == (
        [other],
        "acct_1",
    )


def test_a_reference_that_nobody_knows_is_404(backend: Backend) -> None:
    for reference in ("nobody", "a\0b", "x" * 5_001):
        error = error_of(backend.refresh(reference), 404)
        assert error["param"] == "client_reference_id"


# No other test uses them: Stripe would have sessions of theirs.
@pytest.mark.parametrize("odd", ["a/b/refresh", "refresh", "redact/refresh", "ünï refresh\n"])
def test_any_reference_can_be_refreshed(backend: Backend, odd: str) -> None:
    id = backend.created(odd)["id"]
    assert [session["id"] for session in refreshed(backend, odd)["sessions"]] == [id]


@pytest.mark.parametrize(
    ("query", "param"),
    [("account=a b", "account"), ("livemode=true", "livemode"), ("color=x", "color")],
)
def test_what_would_ask_about_others_than_meant_is_400(
    backend: Backend, reference: str, query: str, param: str
) -> None:
    backend.created(reference)
    assert error_of(backend.refresh(reference, query), 400)["param"] == param
    assert backend.refresh(reference, "livemode=false").status_code == 200


def test_what_stripe_answers_instead_is_passed_on_and_changes_nothing(
    backend: Backend, sandbox: Sandbox, reference: str
) -> None:
    made = backend.created(reference)
    sandbox.submit(made["id"], "verified")
    for status in (429, 503):
        sandbox.control("POST", "/faults", {"path": AT_STRIPE, "status": status})
        error_of(backend.refresh(reference), status)
    assert backend.reference(reference).json()["standing"]["status"] == "requires_input"


def test_without_a_key_or_a_token_nothing_is_asked(
    environment: dict[str, str], sandbox: Sandbox, redis: Redis, reference: str
) -> None:
    with opened_backend(environment | {"STRIPE_API_KEY": ""}, sandbox) as keyless:
        assert "STRIPE_API_KEY" in error_of(keyless.refresh(reference), 503)["message"]
        answer = keyless.client.post(f"/v1/references/{reference}/refresh")
        assert error_of(answer, 401)["type"] == "authentication_error"
        answer = keyless.client.delete(f"/v1/references/{reference}/refresh", headers=BEARER)
        assert answer.status_code == 405
