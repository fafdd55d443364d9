"""What is over is removed, and nothing else, on both databases."""

from __future__ import annotations

import pytest

from app.domain.durations import DAY
from app.ledger import retention
from app.ledger.retention import prune
from tests.ledger.conftest import Scribe
from tests.support.ledger import count_events, life, observation

NOW = 100 * DAY


def standing(scribe: Scribe) -> object:
    record = scribe.ledger.read_reference("user_1", livemode=False)
    assert record is not None
    return (record.standing, record.sessions, len(record.timeline))


def test_events_that_stripe_has_forgotten_are_removed_and_others_stay(scribe: Scribe) -> None:
    scribe.apply(*life(start=NOW - 40 * DAY), observation("processing", NOW - 29 * DAY))
    before = standing(scribe)
    prune(scribe.engine, NOW)
    assert scribe.ledger.has_events([f"evt_1_{NOW - 29 * DAY}_processing"])
    assert count_events(scribe.engine) == 1
    assert standing(scribe) == before


def test_the_newest_event_stays_however_old(scribe: Scribe) -> None:
    scribe.apply(*life(start=100))
    prune(scribe.engine, NOW)
    assert scribe.ledger.last_event() == 140


def test_an_event_that_comes_again_after_its_removal_changes_nothing(scribe: Scribe) -> None:
    old = life(start=NOW - 60 * DAY)
    scribe.apply(*old, observation("verified", NOW, session="vs_2", reference="user_2"))
    prune(scribe.engine, NOW)
    before = standing(scribe)
    again = scribe.apply(*old)
    assert standing(scribe) == before
    assert [(one.outcome, one.effects) for one in again] == [("applied", ())] * len(old)


def effects(scribe: Scribe) -> list[object]:
    return [status for (status,) in scribe.query("SELECT status FROM effects ORDER BY status")]


def test_effects_that_have_ended_are_removed_after_a_week_and_failed_ones_stay(
    scribe: Scribe,
) -> None:
    for n, status in enumerate(("done", "dropped", "failed", None)):
        (applied,) = scribe.apply(
            observation("verified", 100, session=f"vs_{n}", reference=f"user_{n}")
        )
        if status is not None:
            scribe.ledger.mark_effects([applied.effects[0].id], status, NOW)  # type: ignore[arg-type]  # one of its three words
    prune(scribe.engine, NOW + 7 * DAY)
    assert effects(scribe) == ["done", "dropped", "failed", "pending"]
    prune(scribe.engine, NOW + 7 * DAY + 1)
    assert effects(scribe) == ["failed", "pending"]


def test_one_call_removes_a_batch(scribe: Scribe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH_SIZE", 3)
    scribe.apply(*life(start=100))
    assert [prune(scribe.engine, NOW) for _ in range(3)] == [3, 1, 0]
