"""`import`: what an operator sees of it."""

from __future__ import annotations

import pytest

from app.operations import import_sessions
from tests.support.account import Account
from tests.support.cli import Run


def test_every_session_is_in_the_ledger_afterwards(account: Account, run: Run) -> None:
    account.verified("user-1")
    account.open("user-2")
    done = run("import")
    assert (done.code, done.out) == (
        0,
        f"{account.sessions()} sessions are in the ledger now.\n",
    )
    assert account.standing("user-1").status == "verified"  # type: ignore[union-attr]
    assert account.standing("user-2").status == "requires_input"  # type: ignore[union-attr]


def test_json_is_one_object_and_reports_an_earlier_run(
    account: Account, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        account.open(f"user-{number}")
    with monkeypatch.context() as patch:
        patch.setattr(import_sessions, "PAGE_SIZE", 2)
        run_once = import_sessions.SessionImport(
            account.stripe, account.context.stores.ledger, livemode=False, now=account.stripe_now
        )
        next(run_once.steps())
    found = run("import", "--json").object
    assert (found["resumed"], found["sessions"]) == (True, account.sessions() - 2)
    found = run("import", "--json").object
    assert (found["resumed"], found["sessions"]) == (False, account.sessions())


def test_without_a_key_it_says_so_and_exits_with_2(run: Run, environment: dict[str, str]) -> None:
    del environment["STRIPE_API_KEY"]
    done = run("import")
    assert done.code == 2
    assert done.err.splitlines()[-1] == "STRIPE_API_KEY is not set"
