"""`import`: what an operator sees of it."""

from __future__ import annotations

import pytest

from app.operations import import_sessions
from tests.support.account import DAY, Account
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
            account.stripe, account.context.stores, livemode=False, now=account.stripe_now
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


def test_another_accounts_key_is_one_line_that_names_both_and_the_way_out(
    account: Account, run: Run
) -> None:
    assert run("import").code == 0
    for command in ("import", "backfill", "sweep"):
        refused = run(command, STRIPE_API_KEY="sk_test_acct_other_1")
        assert (refused.code, refused.out) == (1, "")
        told = refused.err.splitlines()[-1]
        assert "acct_other" in told
        assert account.stripe.own_account() in told


def test_a_ledger_can_follow_a_new_account(account: Account, run: Run) -> None:
    assert run("import").code == 0
    assert run("backfill").code == 0
    moved = run("import", "--new-account", STRIPE_API_KEY="sk_test_acct_other_1")
    assert moved.code == 0
    assert run("backfill").code == 1
    # Nothing that was read from the old account says anything of the new one's events.
    found = run("backfill", "--json", STRIPE_API_KEY="sk_test_acct_other_1").object
    assert found["until"] - found["since"] > 29 * DAY


def connected(account: Account, of: str) -> str:
    """A verified session of a connected account; its id."""
    client = account.sandbox.client().v1.identity.verification_sessions
    session = client.create(
        {"type": "document", "client_reference_id": "user-1"}, {"stripe_account": of}
    )
    account.sandbox.submit(session.id, "verified")
    return str(session.id)


def test_a_connected_account_is_imported_and_from_then_on_kept_up_with(
    account: Account, run: Run
) -> None:
    connected(account, "acct_kept")
    assert run("import", "--account", "acct_kept", "--json").object["sessions"] == 1
    connected(account, "acct_kept")
    account.advance(60)
    assert run("backfill", "--json").object["missing"] == 6
    assert run("import", "--json").object["sessions"] >= 2


def test_an_account_whose_access_was_revoked_holds_up_no_other(account: Account, run: Run) -> None:
    connected(account, "acct_gone")
    assert run("import", "--account", "acct_gone").code == 0
    account.sandbox.control("POST", "/accounts/acct_gone", {"platform": None})
    account.open()
    for command in ("import", "backfill"):
        done = run(command, "--json")
        assert (done.code, "acct_gone is left out" in done.err) == (0, True)
        refused = run(command, "--account", "acct_gone")
        assert (refused.code, refused.out) == (1, "")


def test_an_organizations_key_needs_an_account_to_begin_with(account: Account, run: Run) -> None:
    organization = {"STRIPE_API_KEY": "sk_org_test_1"}
    for command in ("import", "backfill"):
        refused = run(command, **organization)
        assert (refused.code, "use --account" in refused.err) == (2, True)
    connected(account, "acct_any")
    own = account.stripe.own_account()
    assert run("import", "--account", own, **organization).code == 0
    assert run("backfill", **organization).code == 0
