"""Which accounts the ledger has sessions of, on both databases."""

from __future__ import annotations

from tests.ledger.conftest import Scribe
from tests.support.ledger import observation


def test_the_accounts_of_a_mode_are_told_once_each_and_our_own_is_left_out(scribe: Scribe) -> None:
    assert scribe.ledger.polling.accounts(False) == []
    accounts = ["", "acct_b", "acct_a", "acct_b", "acct_a/acct_c"]
    scribe.apply(
        *(
            observation("verified", 100, session=f"vs_{n}", account=account)
            for n, account in enumerate(accounts)
        ),
        observation("verified", 100, session="vs_live", account="acct_live", livemode=True),
    )
    assert scribe.ledger.polling.accounts(False) == ["acct_a", "acct_a/acct_c", "acct_b"]
    assert scribe.ledger.polling.accounts(True) == ["acct_live"]
