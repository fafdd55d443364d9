"""Orphans, page by page, on both databases."""

from __future__ import annotations

from tests.ledger.conftest import Scribe
from tests.support.ledger import observation


def test_a_page_of_orphans_holds_so_many_sessions_with_all_attempts(scribe: Scribe) -> None:
    for session in ("vs_a", "vs_b", "vs_c"):
        scribe.apply(
            *(
                observation(
                    "requires_input", at, session=session, reference=None, error="abandoned"
                )
                for at in (100, 200, 300)
            )
        )
    scribe.apply(observation("verified", 100, session="vs_d"))
    first, rest = scribe.ledger.orphans.list(False, 2), scribe.ledger.orphans.list(False, 2, "vs_b")
    assert [(s.id, s.attempts) for s in [*first, *rest]] == [("vs_a", 3), ("vs_b", 3), ("vs_c", 3)]
