"""`identity references redact`: asks, has it done, and says what happens next."""

from __future__ import annotations

from functools import partial

import pytest

from app.local.valkey import Valkey, free_port
from tests.sandbox.processes import Sandbox
from tests.support.cli import Run
from tests.support.deployment import Deployment, letter
from tests.support.places import counts


@pytest.fixture
def deployment(deployment: Deployment) -> Deployment:
    deployment.apply(letter("evt_1", session="vs_1"))
    return deployment


@pytest.fixture
def environment(deployment: Deployment, valkey: Valkey, sandbox: Sandbox) -> dict[str, str]:
    return {
        "STRIPE_API_BASE": sandbox.url,
        "REDIS_URL": valkey.url,
        "DATABASE_URL": deployment.database_url,
        "STRIPE_API_KEY": "sk_test_1",
    }


@pytest.fixture
def redact(run: Run) -> Run:
    """Runs `identity references redact` with these settings."""
    return partial(run, "references", "redact")


def test_it_asks_and_queues_and_says_what_comes_next(deployment: Deployment, redact: Run) -> None:
    ran = redact("user-1", typed="y\n")
    assert ran.code == 0, ran.err
    assert "1 session" in ran.err
    assert "test mode" in ran.err
    assert "vs_1  verified  asked" in ran.out
    assert "four days" in ran.out
    assert counts(deployment.stores.effects)["queued"] == 1


def test_a_session_that_only_stripe_knows_is_counted_and_redacted(
    deployment: Deployment, redact: Run, sandbox: Sandbox
) -> None:
    deployment.apply(letter("evt_9", reference="user-9", session="vs_9"))
    sessions = sandbox.client("sk_test_1").v1.identity.verification_sessions
    session = sessions.create({"type": "document", "client_reference_id": "user-9"}).id
    ran = redact("user-9", typed="y\n")
    assert "Redact 2 session(s)" in ran.err
    assert f"{session}  requires_input  asked" in ran.out


def test_if_stripe_is_away_nothing_is_promised(
    deployment: Deployment, redact: Run, sandbox: Sandbox
) -> None:
    ran = redact("user-1", "--yes", STRIPE_API_BASE=f"http://127.0.0.1:{free_port()}")
    assert (ran.code, ran.out) == (1, "")
    assert "Stripe is out of reach" in ran.err
    assert list(deployment.ledger.effects_due_unsent(4_000_000_000, 9)) == []


def test_no_means_no(deployment: Deployment, redact: Run) -> None:
    for typed in ("n\n", ""):
        assert redact("user-1", typed=typed).code == 1
    assert counts(deployment.stores.effects)["queued"] == 0


def test_json_is_what_http_answers(deployment: Deployment, redact: Run) -> None:
    ran = redact("user-1", "--yes", "--json")
    assert ran.object == {
        "client_reference_id": "user-1",
        "sessions": [{"id": "vs_1", "status": "verified", "redaction": "asked"}],
    }


def test_what_is_redacted_already_needs_no_question(deployment: Deployment, redact: Run) -> None:
    deployment.apply(letter("evt_2", session="vs_1", redaction="redacted", at=1))
    ran = redact("user-1")
    assert (ran.code, ran.err) == (0, "")
    assert "Nothing to do" in ran.out


@pytest.mark.parametrize("arguments", [("nobody",), ("user-1", "--account", "acct_1"), ("a\0",)])
def test_a_reference_never_seen_is_reported(
    deployment: Deployment, redact: Run, arguments: tuple[str, ...]
) -> None:
    ran = redact(*arguments, "--yes")
    assert ran.code == 1
    assert "no session of this client_reference_id is known in test mode" in ran.err


def test_without_redis_it_waits_in_the_ledger(deployment: Deployment, redact: Run) -> None:
    ran = redact("user-1", "--yes", REDIS_URL=f"redis://127.0.0.1:{free_port()}")
    assert ran.code == 0
    assert [row.kind for row in deployment.ledger.effects_due_unsent(4_000_000_000, 9)] == [
        "redact"
    ]


def test_without_an_api_key_nothing_is_promised(deployment: Deployment, redact: Run) -> None:
    ran = redact("user-1", "--yes", STRIPE_API_KEY="")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "STRIPE_API_KEY is not set\n"
    assert list(deployment.ledger.effects_due_unsent(4_000_000_000, 9)) == []
