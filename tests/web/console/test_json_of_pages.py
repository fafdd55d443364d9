"""The `.json` of a page is what the command line's `--json` gives."""

from __future__ import annotations

from typing import Any

import pytest

from app.web.console.console import Console
from tests.support.account import KEY, Account
from tests.support.cli import Run, command_runner
from tests.support.ledger import NOW, POLICY, life, observation
from tests.web.console.browser import Browser


@pytest.fixture
def environment(environment: dict[str, str], account: Account) -> dict[str, str]:
    """The web process' own, on the account at the local Stripe."""
    return {**environment, "STRIPE_API_KEY": KEY, "STRIPE_API_BASE": account.sandbox.url}


@pytest.fixture
def run(
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Runs `identity` with the settings of the web process."""
    return command_runner(environment, monkeypatch, capsys)


def apply(console: Console, *seen: Any) -> None:
    console.stores.ledger.apply(seen, policy=POLICY, now=NOW)


def test_a_reference(reader: Browser, console: Console, run: Run) -> None:
    apply(console, *life(), observation("canceled", 900, session="vs_2"))
    told = reader.get("/console/references/user_1.json").json()
    assert told == run("references", "show", "user_1", "--json").object
    assert len(told["timeline"]) == 5


def test_orphans(reader: Browser, console: Console, run: Run) -> None:
    apply(
        console,
        *(observation("verified", 1, session=f"vs_{n:02d}", reference=None) for n in range(60)),
    )
    first = reader.get("/console/orphans.json").json()
    assert first == run("orphans", "list", "--json").object
    assert first["has_more"] is True
    rest = reader.get("/console/orphans.json?after=vs_49").json()
    assert rest == run("orphans", "list", "--after", "vs_49", "--json").object


def test_what_the_doctor_says(
    operator: Browser, run: Run, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    operator.post("/console/health/examine")
    told = operator.get("/console/health.json").json()
    asked = run("doctor", "--json").object
    assert told["state"] == asked["state"] == "wrong"
    assert [check["name"] for check in told["checks"]] == [one["name"] for one in asked["checks"]]
    # These two tell numbers that change while one looks.
    stable = [one for one in told["checks"] if not one["name"].startswith(("clock", "redis mem"))]
    assert [one for one in stable if one not in asked["checks"]] == []
