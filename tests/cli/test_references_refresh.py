"""`identity references refresh`: asks Stripe now, and says what that has changed."""

from __future__ import annotations

from functools import partial

import pytest

from tests.support.account import Account
from tests.support.cli import Run


@pytest.fixture
def refresh(run: Run) -> Run:
    """Runs `identity references refresh`."""
    return partial(run, "references", "refresh")


def test_it_says_what_has_changed(account: Account, refresh: Run) -> None:
    session = account.verified()
    ran = refresh("user-1")
    assert (ran.code, ran.err) == (0, "")
    assert "user-1 (test mode): changed" in ran.out
    assert "standing  - -> verified" in ran.out
    assert session in ran.out
    assert "new" in ran.out
    assert account.status() == "verified"
    assert "user-1 (test mode): unchanged" in refresh("user-1").out


def test_json_is_what_http_answers(account: Account, refresh: Run) -> None:
    session = account.verified("user-2")
    found = refresh("user-2", "--json").object
    assert (found["client_reference_id"], found["changed"]) == ("user-2", True)
    assert (found["standing_before"], found["standing"]["status"]) == (None, "verified")
    assert found["sessions"] == [
        {"id": session, "outcome": "new", "status_before": None, "status": "verified"}
    ]


@pytest.mark.parametrize("arguments", [("nobody",), ("user-1", "--account", "acct_1"), ("a\0",)])
def test_a_reference_that_nobody_knows_is_reported(
    refresh: Run, arguments: tuple[str, ...]
) -> None:
    ran = refresh(*arguments)
    assert (ran.code, ran.out) == (1, "")
    assert "no session of this client_reference_id is known in test mode" in ran.err


def test_stripe_being_away_is_one_line(account: Account, refresh: Run) -> None:
    account.sandbox.control("POST", "/faults", {"status": 503})
    ran = refresh("user-1")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("Stripe answered 503")
    assert ran.err.count("\n") == 1


def test_without_an_api_key_it_says_so(refresh: Run) -> None:
    ran = refresh("user-1", STRIPE_API_KEY="")
    assert (ran.code, ran.err) == (2, "STRIPE_API_KEY is not set\n")
