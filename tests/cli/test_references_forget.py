"""`identity references forget`: asks, says what it removed, and what has to come first."""

from __future__ import annotations

import json
from functools import partial

import pytest

from app.local.valkey import Valkey
from tests.support.cli import Run
from tests.support.deployment import Deployment, letter


@pytest.fixture
def deployment(deployment: Deployment) -> Deployment:
    deployment.apply(
        letter("evt_1", session="vs_1"), letter("evt_2", session="vs_1", redaction="redacted")
    )
    return deployment


@pytest.fixture
def environment(deployment: Deployment, valkey: Valkey) -> dict[str, str]:
    return {"REDIS_URL": valkey.url, "DATABASE_URL": deployment.database_url}


@pytest.fixture
def forget(run: Run) -> Run:
    """Runs `identity references forget` with these settings."""
    return partial(run, "references", "forget")


def test_it_asks_and_says_what_was_removed(deployment: Deployment, forget: Run) -> None:
    ran = forget("user-1", typed="y\n")
    assert ran.code == 0, ran.err
    assert "Forget user-1 and 1 session(s) for good? (test mode)" in ran.err
    assert ran.out.startswith("Forgotten: 1 session(s), 0 dead letter(s)")
    assert deployment.ledger.read_reference("user-1", livemode=False) is None


def test_no_means_no(deployment: Deployment, forget: Run) -> None:
    assert forget("user-1", typed="n\n").code == 1
    assert deployment.record("user-1").sessions


def test_json_is_one_object(forget: Run) -> None:
    ran = forget("user-1", "--yes", "--json")
    assert json.loads(ran.out) == {
        "client_reference_id": "user-1",
        "sessions": 1,
        "dead_letters": 0,
        "stream_messages": 0,
    }


def test_a_user_who_is_not_redacted_is_forgotten_by_force_only(
    deployment: Deployment, forget: Run
) -> None:
    deployment.apply(letter("evt_9", "processing", session="vs_9"))
    ran = forget("user-1", "--yes")
    assert (ran.code, ran.out) == (1, "")
    assert "vs_9" in ran.err
    assert "references redact" in ran.err
    assert forget("user-1", "--yes", "--force").code == 0


def test_an_unknown_user_is_told_so(forget: Run) -> None:
    for reference in ("user-2", ""):
        ran = forget(reference, "--yes")
        assert (ran.code, ran.out) == (1, "")
        assert "no session of this client_reference_id is known in test mode" in ran.err
