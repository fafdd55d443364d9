"""Cursors, counters and flags, on both databases."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.ledger.engine import LedgerUnavailable
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


def test_a_write_that_is_tried_leaves_nothing(scribe: Scribe) -> None:
    scribe.ledger.cursors.try_write()
    assert scribe.query("SELECT * FROM cursors") == []
    scribe.ledger.check_writable()
    before = scribe.query("SELECT * FROM cursors")
    scribe.ledger.cursors.try_write()
    assert scribe.query("SELECT * FROM cursors") == before


def test_a_write_that_a_ledger_does_not_take_says_so(
    scribe: Scribe, make_read_only: Callable[[], None]
) -> None:
    make_read_only()
    with pytest.raises(LedgerUnavailable):
        scribe.ledger.cursors.try_write()
