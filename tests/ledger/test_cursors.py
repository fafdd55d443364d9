"""Cursors, counters and flags, on both databases."""

from __future__ import annotations

from tests.ledger.conftest import Scribe
from tests.support.ledger import NOW


def test_cursors_are_kept_and_counters_count(scribe: Scribe) -> None:
    cursors = scribe.ledger.cursors
    assert cursors.get("far") is None
    cursors.set("far", "10", NOW)
    cursors.set("far", "7", NOW)
    for count in (3, 4):
        cursors.add("counted", count, NOW)
    assert (cursors.get("far"), cursors.get("counted")) == ("7", "7")
