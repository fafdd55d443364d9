"""`orphans`: sessions that name no reference, and whose they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.operations.apply import apply_observations
from tests.support.account import Account
from tests.support.cli import Run


def take_up(account: Account, session: str) -> None:
    """Bring what Stripe says of the session into the ledger."""
    observation = account.stripe.retrieve(session, "")
    apply_observations([observation], account.context.stores, account.context.now())


def orphan(account: Account, outcome: str | None = None) -> str:
    """A session in the ledger that names no reference."""
    session = account.open(reference=None)
    if outcome is not None:
        account.sandbox.submit(session, outcome)
    take_up(account, session)
    return session


def test_orphans_are_shown_a_page_at_a_time(account: Account, run: Run) -> None:
    sessions = sorted(orphan(account) for _ in range(3))
    first = run("orphans", "list", "--limit", "2")
    assert first.code == 0
    assert all(session in first.out for session in sessions[:2])
    assert first.out.splitlines()[-1] == f"There are more: --after {sessions[1]}"
    rest = run("orphans", "list", "--after", sessions[1], "--json").object
    assert [session["id"] for session in rest["data"]] == sessions[2:]
    assert rest["has_more"] is False
    assert run("orphans", "list", "--live").out == "No orphans.\n"


def test_a_claim_is_one_line_with_the_standing_of_the_reference(account: Account, run: Run) -> None:
    session = orphan(account)
    done = run("orphans", "claim", session, "user-1")
    assert (done.code, done.out) == (
        0,
        f"{session} counts for user-1, which is requires_input now. Stripe knows it too.\n",
    )
    again = run("orphans", "claim", session, "user-1")
    assert again.code == 0
    assert again.out.startswith(f"{session} counted for user-1 already")


def test_a_claim_that_stripe_does_not_take_stands_and_says_so(account: Account, run: Run) -> None:
    session = orphan(account, "verified")
    done = run("orphans", "claim", session, "user-1")
    assert done.code == 0
    assert "which is verified now. Stripe did not take it" in done.out
    assert account.standing().status == "verified"  # type: ignore[union-attr]


@pytest.mark.parametrize("reference", ["", "x" * 5_001])
def test_an_unusable_reference_is_one_line_and_exit_code_1(
    account: Account, run: Run, reference: str
) -> None:
    done = run("orphans", "claim", orphan(account), reference)
    assert (done.code, done.out.count("\n")) == (1, 1)
    assert "cannot be claimed" in done.out


def test_what_is_no_orphan_is_one_line_and_exit_code_1(account: Account, run: Run) -> None:
    session = account.open("user-1")
    take_up(account, session)
    done = run("orphans", "claim", session, "user-2")
    assert (done.code, done.out) == (1, f"{session} names another reference already.\n")
    unknown = run("orphans", "claim", "vs_never", "user-2", "--json")
    assert (unknown.code, unknown.object["outcome"]) == (1, "unknown_session")


def test_a_file_claims_many_and_goes_on_past_what_cannot_be_claimed(
    account: Account, run: Run, tmp_path: Path
) -> None:
    sessions = [orphan(account) for _ in range(3)]
    pairs = tmp_path / "pairs.csv"
    lines = [f'{session},"user, {n}"' for n, session in enumerate(sessions)]
    pairs.write_text("session,reference\n" + "\n".join([*lines[:1], "vs_no,x", *lines[1:]]) + "\n")
    done = run("orphans", "claim", "--file", str(pairs))
    assert done.code == 1
    assert done.out.splitlines()[-1] == "3 of 4 sessions count for their references."
    assert all(account.standing(f"user, {n}") for n in range(3))
    assert run("orphans", "list").out == "No orphans.\n"


def test_a_line_of_a_file_that_is_no_pair_is_reported_by_its_number(
    account: Account, run: Run, tmp_path: Path
) -> None:
    session = orphan(account)
    pairs = tmp_path / "pairs.csv"
    pairs.write_text(f"session,reference\n{session},user-1\nvs_1\n")
    done = run("orphans", "claim", "--file", str(pairs))
    assert done.code == 1
    assert "line 3 is not session,reference" in done.err
    assert account.standing() is not None


def test_a_claim_needs_a_pair_or_a_file(run: Run) -> None:
    assert run("orphans", "claim").code == 2
    assert run("orphans", "claim", "vs_1").code == 2


def test_without_a_key_the_claim_is_for_the_ledger_alone(
    account: Account, run: Run, environment: dict[str, str]
) -> None:
    session = orphan(account)
    del environment["STRIPE_API_KEY"]
    done = run("orphans", "claim", session, "user-1")
    assert done.code == 0
    assert "Stripe was not told" in done.out
