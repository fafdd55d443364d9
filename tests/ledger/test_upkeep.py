"""What operators and the clock ask of the ledger, on both databases."""

from __future__ import annotations

import pytest

from app.ledger.rows import Discarded
from app.ledger.upkeep import DAY, HOUR, MINUTE, SessionKey, Upkeep
from tests.ledger.conftest import Scribe
from tests.ledger.sights import sight

NOW = 100 * DAY


@pytest.fixture
def upkeep(scribe: Scribe) -> Upkeep:
    return scribe.ledger.upkeep


def due(upkeep: Upkeep, now: int = NOW, limit: int = 10) -> list[str]:
    return [key.id for key in upkeep.sessions_to_check(False, now, limit)]


def test_the_sessions_that_somebody_waits_for_come_first(scribe: Scribe, upkeep: Upkeep) -> None:
    scribe.apply(
        sight("requires_input", NOW - 2 * DAY, session="vs_a"),
        sight("verified", NOW - DAY, session="vs_b", redaction="processing"),
        sight("processing", NOW - HOUR, session="vs_c"),
    )
    assert due(upkeep) == ["vs_c", "vs_b", "vs_a"]
    assert due(upkeep, limit=1) == ["vs_c"]


def test_a_session_of_which_was_heard_not_long_ago_is_not_due(
    scribe: Scribe, upkeep: Upkeep
) -> None:
    scribe.apply(
        sight("requires_input", NOW - HOUR, session="vs_a"),
        sight("processing", NOW - MINUTE, session="vs_b"),
        sight("verified", NOW - 9 * DAY, session="vs_c"),
        sight("requires_input", NOW - 9 * DAY, session="vs_d", livemode=True),
    )
    assert due(upkeep) == []


def test_sessions_marked_as_checked_are_not_due_again_soon(scribe: Scribe, upkeep: Upkeep) -> None:
    sessions = [f"vs_{n}" for n in range(4)]
    scribe.apply(*(sight("requires_input", 100, session=session) for session in sessions))
    keys = [SessionKey(session, "", False) for session in sessions]
    upkeep.mark_all_checked(keys[:2], NOW)
    upkeep.mark_all_checked([], NOW)
    upkeep.mark_checked(keys[2], NOW)
    assert due(upkeep) == ["vs_3"]
    assert sorted(due(upkeep, NOW + DAY + 1)) == sessions


def test_a_session_that_stripe_does_not_know_is_not_due(scribe: Scribe, upkeep: Upkeep) -> None:
    scribe.apply(sight("requires_input", 100))
    upkeep.mark_missing(SessionKey("vs_1", "", False), NOW)
    assert due(upkeep, NOW + 9 * DAY) == []
    record = scribe.ledger.read_reference("user_1", livemode=False)
    assert record is not None
    assert record.missing == {"vs_1"}


def test_a_page_of_orphans_holds_so_many_sessions_with_all_attempts(
    scribe: Scribe, upkeep: Upkeep
) -> None:
    for session in ("vs_a", "vs_b", "vs_c"):
        scribe.apply(
            *(
                sight("requires_input", at, session=session, reference=None, error="abandoned")
                for at in (100, 200, 300)
            )
        )
    scribe.apply(sight("verified", 100, session="vs_d"))
    first, rest = upkeep.orphans(False, 2), upkeep.orphans(False, 2, "vs_b")
    assert [(s.id, s.attempts) for s in [*first, *rest]] == [("vs_a", 3), ("vs_b", 3), ("vs_c", 3)]


def test_discarded_events_are_known_as_such(scribe: Scribe, upkeep: Upkeep) -> None:
    scribe.ledger.note_discarded([Discarded("evt_1", "", False, None, "vs_1")], "why", NOW)
    (applied,) = scribe.apply(sight("verified", 100, event="evt_2"))
    assert applied.outcome == "applied"
    assert upkeep.discarded(["evt_1", "evt_2", "evt_3"]) == {"evt_1"}
    assert upkeep.discarded([]) == set()


def test_where_redis_was_lost_pending_effects_are_in_no_queue(
    scribe: Scribe, upkeep: Upkeep
) -> None:
    rows = [
        scribe.apply(sight("verified", 100, session=f"vs_{n}", reference=f"user_{n}"))[0].effects[0]
        for n in range(2)
    ]
    scribe.ledger.mark_enqueued([row.id for row in rows], NOW)
    scribe.ledger.mark_effect(rows[0].id, "done", NOW)
    assert scribe.ledger.effects_due_unsent(NOW, 10) == []
    upkeep.forget_enqueued()
    assert [row.id for row in scribe.ledger.effects_due_unsent(NOW, 10)] == [rows[1].id]


def test_marks_are_kept_and_counted(upkeep: Upkeep) -> None:
    assert upkeep.mark("far") is None
    upkeep.set_mark("far", "10", NOW)
    upkeep.set_mark("far", "7", NOW)
    for count in (3, 4):
        upkeep.add_to_mark("counted", count, NOW)
    assert (upkeep.mark("far"), upkeep.mark("counted")) == ("7", "7")
