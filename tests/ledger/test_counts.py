"""How many references stand how, counted on from the timeline, on both databases."""

from __future__ import annotations

import pytest

from app.domain.standing import ReferenceKey
from app.ledger import counts
from app.ledger.counts import StandingCounts, count_standings
from app.ledger.rows import Discarded
from tests.ledger.conftest import Scribe
from tests.support.ledger import life, observation

TRUE_COUNTS = (
    "SELECT status, livemode, count(*) FROM standings WHERE version > 0 GROUP BY status, livemode"
)


def run(scribe: Scribe) -> None:
    """One run of the clock."""
    while count_standings(scribe.engine, 1):
        pass


def counted(scribe: Scribe) -> dict[tuple[object, ...], int]:
    with scribe.engine.connect() as connection:
        found = StandingCounts.read(connection).counts
    return {of: n for of, n in found.items() if n}


def true_counts(scribe: Scribe) -> dict[tuple[object, ...], object]:
    rows = scribe.query(TRUE_COUNTS)
    return {(status, bool(livemode)): found for status, livemode, found in rows}


def test_they_are_what_counting_all_would_give(
    scribe: Scribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "BATCH_SIZE", 3)
    for n in range(4):
        for seen in life(session=f"vs_{n}", end=("verified", "canceled")[n % 2]):
            scribe.apply(seen)
            run(scribe)
    scribe.apply(
        observation("processing", 200, session="vs_9", reference="user_9", livemode=True),
        observation("verified", 300, session="vs_8", reference="user_8"),
        observation("processing", 310, session="vs_8", reference="user_7"),
    )
    run(scribe)
    run(scribe)
    assert counted(scribe) == true_counts(scribe)
    assert len(counted(scribe)) > 2


def test_a_change_is_counted_in_the_run_after_the_next_for_it_may_not_be_committed_yet(
    scribe: Scribe,
) -> None:
    scribe.apply(observation("verified", 100))
    run(scribe)
    assert counted(scribe) == {}
    run(scribe)
    assert counted(scribe) == {("verified", False): 1}


def test_a_discarded_letter_of_a_reference_changes_no_count(scribe: Scribe) -> None:

    key = ReferenceKey("", False, "user_1")
    scribe.ledger.record_discarded([Discarded("evt_9", key, "vs_1")], "a test", 1)
    run(scribe)
    run(scribe)
    assert counted(scribe) == {}
