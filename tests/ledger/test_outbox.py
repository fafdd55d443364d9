"""The effects that are not done, counted and listed, on both databases."""

from __future__ import annotations

import pytest

from app.ledger import outbox
from app.ledger.outbox import EffectCount, EffectPlace, State, count_effects, list_effects
from tests.ledger.conftest import Scribe
from tests.support.ledger import NOW, observation


def three(scribe: Scribe) -> list[str]:
    """Notifications of three users; their ids."""
    found = []
    for n in range(3):
        (applied,) = scribe.apply(
            observation("verified", 100, session=f"vs_{n}", reference=f"user_{n}")
        )
        found += [effect.id for effect in applied.effects]
    return found


def test_effects_are_counted_by_state_and_kind_with_those_that_are_due(scribe: Scribe) -> None:
    _, queued, dead = three(scribe)
    scribe.apply(observation("processing", 100, session="vs_9", reference="user_9"))
    scribe.ledger.mark_enqueued([queued, dead], NOW)
    scribe.ledger.mark_failed([dead], NOW)
    assert count_effects(scribe.engine, NOW + 1) == [
        EffectCount("waiting", "notify", 2, due=2, complete=True),
        EffectCount("waiting", "recheck", 1, due=0, complete=True),
        EffectCount("queued", "notify", 1, due=1, complete=True),
        EffectCount("dead", "notify", 1, due=1, complete=True),
    ]


def test_what_is_done_is_not_counted(scribe: Scribe) -> None:
    ids = three(scribe)
    scribe.ledger.mark_effects(ids, "done", NOW)
    assert count_effects(scribe.engine, NOW) == []


def test_of_many_effects_some_are_counted_and_that_is_said(
    scribe: Scribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    three(scribe)
    monkeypatch.setattr(outbox, "MAX_COUNTED", 1)
    (found,) = count_effects(scribe.engine, NOW)
    assert (found.count, found.complete) == (2, False)


@pytest.mark.parametrize("state", ["waiting", "queued", "dead"])
def test_the_effects_of_a_state_are_listed_by_page(scribe: Scribe, state: State) -> None:
    ids = three(scribe)
    if state != "waiting":
        scribe.ledger.mark_enqueued(ids, NOW)
    if state == "dead":
        scribe.ledger.mark_failed(ids, NOW)
    first, following = list_effects(scribe.engine, state, None, 2)
    assert following == EffectPlace(NOW, sorted(ids)[1])
    rest, end = list_effects(scribe.engine, state, following, 2)
    assert [effect.id for effect in (*first, *rest)] == sorted(ids)
    assert end is None


def test_what_is_due_first_comes_first(scribe: Scribe) -> None:
    scribe.apply(observation("processing", 100))
    shown, _ = list_effects(scribe.engine, "waiting", None, 10)
    assert [(effect.kind, effect.due) for effect in shown] == [
        ("notify", NOW),
        ("recheck", NOW + 900),
    ]


def test_an_effect_is_shown_with_what_it_is_about(scribe: Scribe) -> None:
    three(scribe)
    (effect, *_), _ = list_effects(scribe.engine, "waiting", None, 10)
    assert (effect.kind, effect.session_id, effect.created_at) == ("notify", "vs_0", NOW)
    assert effect.enqueued_at is None
