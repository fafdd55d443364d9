"""How far users came in the last week, counted on hour by hour, on both databases."""

from __future__ import annotations

from collections import Counter

import pytest
from sqlalchemy import Engine, text

from app.domain.durations import DAY, HOUR
from app.domain.standing import ReferenceKey
from app.ledger import counts, week
from app.ledger.attention import Attention
from app.ledger.counts import count_standings
from app.ledger.rows import Discarded
from app.ledger.week import Week, read_week
from tests.ledger.conftest import Scribe
from tests.support.ledger import life, observation

NOW = 500_000 * HOUR + 120


def run(scribe: Scribe, now: int = NOW) -> None:
    """One run of the clock."""
    while count_standings(scribe.engine, now):
        pass


def counted(scribe: Scribe, now: int = NOW, *, livemode: bool = False) -> Week:
    """What is counted after two runs, each of which counts what the one before has seen."""
    run(scribe, now)
    run(scribe, now)
    return read_week(scribe.engine, livemode, now)


def test_nothing_was_counted_of_an_empty_ledger(engine: Engine) -> None:
    assert read_week(engine, False, NOW) == Week()


def test_the_steps_of_one_user(scribe: Scribe) -> None:
    scribe.apply(*life(start=NOW - 100))
    steps = Counter({"created": 1, "submitted": 2, "failed/abandoned": 1, "verified": 1})
    assert counted(scribe) == Week(since=0, until=NOW, day=steps, week=steps)


def test_each_mode_is_counted_by_itself(scribe: Scribe) -> None:
    scribe.apply(observation("processing", NOW - 100, livemode=True))
    assert counted(scribe).week == {}
    assert counted(scribe, livemode=True).week == {"submitted": 1}


def test_the_last_day_and_the_last_week_end_where_they_should(scribe: Scribe) -> None:
    for n, hours in enumerate((0, 23, 24, 7 * 24 - 1, 7 * 24)):
        at = NOW - hours * HOUR
        scribe.apply(observation("processing", at, session=f"vs_{n}", reference=f"user_{n}"))
    found = counted(scribe)
    assert (found.day["submitted"], found.week["submitted"]) == (2, 4)


def test_a_week_later_none_of_it_is_left(scribe: Scribe) -> None:
    scribe.apply(observation("processing", NOW - 100))
    assert counted(scribe).week == {"submitted": 1}
    later = NOW + 8 * DAY
    scribe.apply(observation("processing", later, session="vs_2", reference="user_2"))
    found = counted(scribe, later)
    assert found.week == found.day == {"submitted": 1}


def test_what_comes_late_counts_for_the_hour_in_which_it_was(
    scribe: Scribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "BATCH_SIZE", 2)
    for n in range(5):
        scribe.apply(
            observation("processing", NOW - 30 * HOUR, session=f"vs_{n}", reference=f"user_{n}")
        )
        run(scribe)
    found = counted(scribe)
    assert (found.day["submitted"], found.week["submitted"]) == (0, 5)


def test_it_says_until_when_all_is_counted(scribe: Scribe) -> None:
    run(scribe, NOW)
    assert read_week(scribe.engine, False, NOW).until is None
    run(scribe, NOW + 120)
    assert read_week(scribe.engine, False, NOW).until == NOW


def test_a_ledger_whose_standings_were_counted_before_says_since_when_the_hours_are(
    scribe: Scribe,
) -> None:
    scribe.apply(observation("processing", NOW - 100))
    run(scribe)
    run(scribe)
    with scribe.engine.begin() as connection:
        connection.execute(text("DELETE FROM cursors WHERE name LIKE 'week%'"))
    scribe.apply(observation("verified", NOW - 50))
    found = counted(scribe)
    assert (found.since, found.week) == (NOW, {"verified": 1})


def test_a_discarded_letter_is_no_step(scribe: Scribe) -> None:
    key = ReferenceKey("", False, "user_1")
    scribe.ledger.record_discarded([Discarded("evt_9", key, "vs_1")], "a test", NOW)
    assert counted(scribe).week == {}


def test_who_is_to_be_reviewed_is_found_until_somebody_has(scribe: Scribe) -> None:
    attention = Attention(scribe.engine)
    for n in (1, 2):
        session, user = f"vs_{n}", f"user_{n}"
        scribe.apply(
            observation(
                "requires_input",
                NOW - 100,
                session=session,
                reference=user,
                error="selfie_manipulated",
            )
        )
    counted(scribe)
    assert {one.reference for one in attention.to_review(False)} == {"user_1", "user_2"}
    scribe.apply(observation("verified", NOW - 50))
    assert [one.reference for one in attention.to_review(False)] == ["user_2"]
    assert attention.to_review(True) == []
    counted(scribe)
    with scribe.engine.connect() as connection:
        assert len(week.Counted.read(connection).review) == 1


def test_of_many_to_be_reviewed_the_newest_are_remembered(
    scribe: Scribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(week, "MAX_REVIEWED", 2)
    for n in range(4):
        session, user = f"vs_{n}", f"user_{n}"
        scribe.apply(
            observation(
                "requires_input", NOW - 100, session=session, reference=user, error="new_code"
            )
        )
    counted(scribe)
    found = Attention(scribe.engine).to_review(False)
    assert [one.reference for one in found] == ["user_3", "user_2"]
