"""`references show --purpose`: a user who is verified for several things."""

from __future__ import annotations

from app.operations.apply import apply_observations
from tests.support.account import Account
from tests.support.cli import Run
from tests.support.ledger import observation


def lived(account: Account) -> None:
    seen = observation("verified", 100, purpose="driver")
    apply_observations([seen], account.context.stores, account.context.now())


def test_the_standing_for_a_purpose_is_shown(account: Account, run: Run) -> None:
    lived(account)
    done = run("references", "show", "user_1", "--purpose", "driver")
    assert done.code == 0
    assert "user_1 (test mode, for driver)" in done.out
    shown = run("references", "show", "user_1", "--purpose", "driver", "--json").object
    assert (shown["purpose"], shown["standing"]["status"]) == ("driver", "verified")


def test_a_user_known_for_another_purpose_only_is_named_with_it(account: Account, run: Run) -> None:
    lived(account)
    done = run("references", "show", "user_1")
    assert done.code == 1
    assert "for this purpose: there is driver" in done.err


def test_an_unusable_purpose_is_one_line(account: Account, run: Run) -> None:
    done = run("references", "show", "user_1", "--purpose", "to drive")
    assert done.code == 2
    assert "a purpose has 1 to 64 letters" in done.err
