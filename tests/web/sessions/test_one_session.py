"""One verification, one session: resumed, refused, or created again only if the old one is over."""

from __future__ import annotations

import pytest
from redis import Redis

from app.domain.errors import QueueUnavailable
from app.ledger.engine import LedgerUnavailable
from app.ledger.ledger import Ledger
from tests.sandbox.processes import Sandbox, running
from tests.web.sessions.conftest import (
    AT_STRIPE,
    Backend,
    error_of,
    opened_backend,
)


def test_an_open_session_is_resumed_with_its_secrets(backend: Backend, reference: str) -> None:
    first = backend.created(reference)
    again = backend.created(reference, metadata={"plan": "another"})
    assert (first["resumed"], again["resumed"]) == (False, True)
    assert again["id"] == first["id"]
    assert again["client_secret"]
    assert again["url"]
    assert backend.at_stripe(reference) == [first["id"]]


def test_a_resumed_session_has_a_fresh_link_if_the_old_one_is_over(
    backend: Backend, sandbox: Sandbox, reference: str
) -> None:
    first = backend.created(reference)
    sandbox.control("POST", "/clock", {"advance": 49 * 3600})
    again = backend.created(reference)
    assert (again["id"], again["resumed"]) == (first["id"], True)
    assert again["url"] != first["url"]
    assert again["client_secret"] != first["client_secret"]


def test_a_failed_attempt_is_followed_by_another_in_the_same_session(
    backend: Backend, sandbox: Sandbox, reference: str
) -> None:
    first = backend.created(reference)
    sandbox.submit(first["id"], "document_expired")
    backend.see(first["id"])
    again = backend.created(reference)
    assert (again["id"], again["resumed"]) == (first["id"], True)
    assert again["last_error"]["code"] == "document_expired"
    assert again["url"] != first["url"]


@pytest.mark.parametrize("known", [True, False])
def test_while_a_submission_is_processed_it_is_409(
    backend: Backend, sandbox: Sandbox, reference: str, known: bool
) -> None:
    made = backend.created(reference)
    sandbox.submit(made["id"], "verified", delay=60)
    if known:
        backend.see(made["id"])
    for reverify in (False, True):
        error = error_of(backend.create(reference, reverify=reverify), 409)
        assert error["code"] == "session_processing"
    assert backend.at_stripe(reference) == [made["id"]]


@pytest.mark.parametrize("known", [True, False])
def test_a_verified_user_is_409_unless_it_is_to_be_done_anew(
    backend: Backend, sandbox: Sandbox, reference: str, known: bool
) -> None:
    made = backend.created(reference)
    sandbox.submit(made["id"], "verified")
    if known:
        backend.see(made["id"])
    assert error_of(backend.create(reference), 409)["code"] == "reference_verified"
    assert error_of(backend.create(reference, reverify=False), 409)["code"] == "reference_verified"
    anew = backend.created(reference, reverify=True)
    assert anew["id"] != made["id"]
    assert anew["resumed"] is False
    assert backend.created(reference, reverify="true")["id"] == anew["id"]
    assert backend.at_stripe(reference) == [made["id"], anew["id"]]


def test_what_stripe_says_on_the_way_comes_into_the_ledger(
    backend: Backend, sandbox: Sandbox, reference: str
) -> None:
    made = backend.created(reference)
    sandbox.submit(made["id"], "verified")
    error_of(backend.create(reference), 409)
    record = backend.record(reference)
    assert record is not None
    assert record.standing.status == "verified"


def test_out_of_attempts_it_is_409(
    environment: dict[str, str], sandbox: Sandbox, redis: Redis, reference: str
) -> None:
    with opened_backend(environment | {"MAX_ATTEMPTS": "2"}, sandbox) as backend:
        made = backend.created(reference)
        for _ in range(2):
            assert backend.created(reference)["id"] == made["id"]
            sandbox.submit(made["id"], "document_expired")
            backend.see(made["id"])
        error = error_of(backend.create(reference), 409)
        assert error["code"] == "attempts_exhausted"
        assert "2" in error["message"]
        assert error_of(backend.create(reference, reverify=True), 409)["code"] == (
            "attempts_exhausted"
        )
        assert backend.at_stripe(reference) == [made["id"]]


@pytest.mark.parametrize("how", ["cancel", "redact"])
def test_a_session_that_stripe_has_closed_meanwhile_gives_way_to_a_new_one(
    backend: Backend, sandbox: Sandbox, reference: str, how: str
) -> None:
    made = backend.created(reference)
    getattr(sandbox.client().v1.identity.verification_sessions, how)(made["id"])
    anew = backend.created(reference)
    assert anew["id"] != made["id"]
    assert anew["resumed"] is False
    assert backend.created(reference)["id"] == anew["id"]
    record = backend.record(reference)
    assert record is not None
    assert {s.id: s.status for s in record.sessions} == {
        made["id"]: "canceled",
        anew["id"]: "requires_input",
    }


def test_a_session_that_stripe_does_not_know_gives_way_to_a_new_one(
    environment: dict[str, str], redis: Redis, backend: Backend, reference: str
) -> None:
    made = backend.created(reference)
    with (
        running() as other,
        opened_backend(environment | {"STRIPE_API_BASE": other.url}, other) as elsewhere,
    ):
        anew = elsewhere.created(reference)
        assert anew["id"] != made["id"]
        assert anew["resumed"] is False
        assert elsewhere.created(reference)["id"] == anew["id"]


def test_another_account_is_another_reference(backend: Backend, reference: str) -> None:
    own = backend.created(reference)
    params = {"type": "document", "client_reference_id": reference}
    other = backend.post("", params, {"Stripe-Account": "acct_1"}).json()
    assert other["id"] != own["id"]
    assert other["resumed"] is False
    again = backend.post("", params, {"Stripe-Account": "acct_1"}).json()
    assert (again["id"], again["resumed"]) == (other["id"], True)
    assert backend.reference(reference).json()["standing"]["session_id"] == own["id"]
    told = backend.reference(reference, account="acct_1").json()
    assert told["standing"]["session_id"] == other["id"]


def test_another_mode_is_another_reference(
    environment: dict[str, str], sandbox: Sandbox, backend: Backend, reference: str
) -> None:
    own = backend.created(reference)
    with opened_backend(environment | {"STRIPE_API_KEY": "sk_live_1"}, sandbox) as live:
        other = live.created(reference)
    assert other["livemode"] is True
    assert other["id"] != own["id"]
    assert not other["resumed"]
    assert backend.created(reference)["id"] == own["id"]


def test_the_session_is_in_the_ledger_before_its_first_event(
    backend: Backend, reference: str
) -> None:
    made = backend.created(reference)  # this Stripe delivers nothing
    told = backend.reference(reference).json()
    assert told["standing"]["status"] == "requires_input"
    assert told["standing"]["next_step"] == "submit"
    assert [session["id"] for session in told["sessions"]] == [made["id"]]
    assert told["timeline"][0]["event_id"] is None


def test_a_process_that_dies_before_the_ledger_has_it_leaves_one_session(
    backend: Backend, reference: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:

        def die(*_: object, **__: object) -> None:
            raise LedgerUnavailable("the ledger does not answer")

        patched.setattr(Ledger, "apply", die)
        answer = backend.create(reference)
        assert error_of(answer, 503)
        assert int(answer.headers["retry-after"]) > 0
    assert backend.record(reference) is None
    (left,) = backend.at_stripe(reference)
    made = backend.created(reference, expand=["verified_outputs"])
    assert (made["id"], made["resumed"]) == (left, True)
    assert made["client_secret"]
    assert made["url"]
    assert backend.at_stripe(reference) == [left]


def test_an_answer_that_is_lost_leaves_one_session(
    backend: Backend, sandbox: Sandbox, reference: str
) -> None:
    sandbox.control("POST", "/faults", {"path": AT_STRIPE, "method": "POST", "hang_up": "after"})
    assert error_of(backend.create(reference), 503)["type"] == "api_error"
    (left,) = backend.at_stripe(reference)
    assert backend.created(reference)["id"] == left
    assert backend.at_stripe(reference) == [left]


@pytest.mark.parametrize("status", [500, 503])
def test_a_failure_that_stripe_has_stored_does_not_block_the_reference(
    backend: Backend, sandbox: Sandbox, reference: str, status: int
) -> None:
    for _ in range(2):
        sandbox.control("POST", "/faults", {"path": AT_STRIPE, "method": "POST", "status": status})
        error_of(backend.create(reference), status)
    made = backend.created(reference)
    assert made["resumed"] is False
    assert backend.at_stripe(reference) == [made["id"]]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("status", [429, 409])
def test_a_limit_of_stripes_does_not_block_the_reference(
    backend: Backend, sandbox: Sandbox, reference: str, status: int, method: str
) -> None:
    sandbox.control("POST", "/faults", {"path": AT_STRIPE, "method": method, "status": status})
    error_of(backend.create(reference), status)
    assert backend.at_stripe(reference) == []
    assert backend.created(reference)["resumed"] is False


def test_what_stripe_refuses_can_be_asked_for_better(backend: Backend, reference: str) -> None:
    assert error_of(backend.create(reference, return_url="nonsense"), 400)["param"] == "return_url"
    assert backend.created(reference, return_url="https://example.com")["resumed"] is False


def test_redis_being_away_is_503_and_makes_no_session(
    backend: Backend, reference: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise QueueUnavailable("Redis cannot be reached")

    monkeypatch.setattr("app.operations.idempotency_keys.translated_errors", away)
    answer = backend.create(reference)
    error = error_of(answer, 503)
    assert (error["type"], error["message"]) == ("api_error", "a store is away: try again")
    assert int(answer.headers["retry-after"]) > 0
    assert backend.at_stripe(reference) == []
