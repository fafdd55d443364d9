"""What the metrics count in the ledger, on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from app.domain.durations import DAY
from app.ledger import stats
from app.ledger.counts import count_standings
from app.ledger.cursors import Cursors
from app.ledger.stats import MISSED, LedgerStats, read_stats
from tests.ledger.conftest import Scribe
from tests.support.ledger import life, observation

NOW = 10 * DAY


def test_an_empty_ledger_counts_nothing(engine: Engine) -> None:
    assert read_stats(engine, NOW) == LedgerStats(
        last_event=None,
        standings={},
        orphans={False: 0, True: 0},
        effects={"pending": 0, "failed": 0},
        redactions_overdue=0,
        events_missed_by_webhook=0,
    )


def test_references_are_counted_by_status_and_mode(scribe: Scribe) -> None:
    scribe.apply(
        *life(),
        observation("verified", 300, session="vs_2", reference="user_2"),
        observation("processing", 200, session="vs_3", reference="user_3", livemode=True),
        observation("verified", 250, session="vs_4", reference="user_1", livemode=True),
    )
    for _ in range(2):
        count_standings(scribe.engine, NOW)
    assert read_stats(scribe.engine, NOW).standings == {
        ("verified", False): 2,
        ("processing", True): 1,
        ("verified", True): 1,
    }


def test_the_newest_event_is_by_stripes_time(scribe: Scribe) -> None:
    scribe.apply(observation("verified", 300), observation("processing", 200))
    assert read_stats(scribe.engine, NOW).last_event == 300


def test_what_is_many_is_counted_up_to_a_limit(
    scribe: Scribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stats, "MAX_COUNTED", 2)
    for n in range(4):
        scribe.apply(observation("processing", 100, session=f"vs_{n}", reference=None))
    assert read_stats(scribe.engine, NOW).orphans == {False: 2, True: 0}


def test_orphans_are_counted_by_mode(scribe: Scribe) -> None:
    scribe.apply(
        observation("processing", 100, session="vs_1", reference=None, livemode=True),
        observation("processing", 100, session="vs_2", reference=None, livemode=True),
        observation("processing", 100, session="vs_3"),
    )
    assert read_stats(scribe.engine, NOW).orphans == {False: 0, True: 2}


def test_effects_are_counted_until_they_are_done(scribe: Scribe) -> None:
    (first, second) = (
        scribe.apply(observation("verified", 100, session=f"vs_{n}", reference=f"user_{n}"))[0]
        for n in (1, 2)
    )
    assert read_stats(scribe.engine, NOW).effects == {"pending": 2, "failed": 0}
    scribe.ledger.mark_failed([first.effects[0].id], NOW)
    assert read_stats(scribe.engine, NOW).effects == {"pending": 1, "failed": 1}
    scribe.ledger.mark_effects([second.effects[0].id], "done", NOW)
    assert read_stats(scribe.engine, NOW).effects == {"pending": 0, "failed": 1}


def test_a_redaction_is_overdue_after_four_days(scribe: Scribe) -> None:
    scribe.apply(
        observation("verified", NOW - 3 * DAY, session="vs_1", redaction="processing"),
        observation("verified", NOW - 5 * DAY, session="vs_2", redaction="processing"),
        observation("verified", NOW - 5 * DAY, session="vs_3", redaction="redacted"),
    )
    assert read_stats(scribe.engine, NOW).redactions_overdue == 1


def test_what_backfills_found_missing_is_counted_on(engine: Engine) -> None:
    for count in (2, 3):
        Cursors(engine).add(MISSED, count, NOW)
    assert read_stats(engine, NOW).events_missed_by_webhook == 5
