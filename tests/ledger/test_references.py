"""Whose session it is: references, orphans, moves, accounts and modes."""

from __future__ import annotations

import pytest

from app.ledger.ledger import MAX_TIMELINE_LINES, Ledger
from app.ledger.rows import ReferenceRecord
from tests.ledger.conftest import Scribe
from tests.support.ledger import NOW, named_in_metadata, observation


def known(ledger: Ledger, reference: str, *, livemode: bool = False) -> ReferenceRecord:
    record = ledger.read_reference(reference, livemode=livemode)
    assert record is not None
    return record


def test_a_reference_never_seen_has_no_record(ledger: Ledger) -> None:
    assert ledger.read_reference("nobody", livemode=False) is None


def test_an_orphan_is_stored_without_a_standing(scribe: Scribe) -> None:
    [applied] = scribe.apply(observation("processing", 100, reference=None))
    assert (applied.outcome, applied.standing_before, applied.standing) == ("applied", None, None)
    assert scribe.query("SELECT id, reference_key FROM sessions") == [("vs_1", None)]
    assert scribe.query("SELECT * FROM timeline") == []
    assert [(e.kind, e.reference_key, e.version) for e in applied.effects] == [
        ("recheck", None, None)
    ]


def test_an_orphan_moves_into_its_reference_with_its_attempts(scribe: Scribe) -> None:
    scribe.apply(observation("requires_input", 100, reference=None, error="abandoned"))
    scribe.apply(observation("processing", 110, reference=None))
    [applied] = scribe.apply(observation("verified", 120))
    assert applied.standing_before is None
    assert applied.standing is not None
    assert (applied.standing.status, applied.standing.attempts) == ("verified", 1)
    assert [line.previous_status for line in known(scribe.ledger, "user_1").timeline] == [None]


def test_an_event_without_a_reference_stays_with_the_one_known(scribe: Scribe) -> None:
    scribe.apply(observation("processing", 100))
    [applied] = scribe.apply(observation("verified", 110, reference=None))
    assert applied.standing is not None
    assert applied.standing.status == "verified"


def test_a_metadata_reference_that_changes_moves_the_session(scribe: Scribe) -> None:
    scribe.apply(named_in_metadata("processing", 100, "user_a"))
    scribe.apply(named_in_metadata("processing", 101, "user_a", session="vs_2"))
    [applied] = scribe.apply(named_in_metadata("verified", 110, "user_b"))
    left, entered = known(scribe.ledger, "user_a"), known(scribe.ledger, "user_b")
    assert applied.standing == entered.standing
    assert (entered.standing.status, entered.standing.session_id) == ("verified", "vs_1")
    assert (left.standing.status, left.standing.session_id) == ("processing", "vs_2")
    assert [session.id for session in left.sessions] == ["vs_2"]
    assert [line.cause_session_id for line in left.timeline][-1] == "vs_2"


def test_a_reference_whose_only_session_moved_away_stands_at_none(scribe: Scribe) -> None:
    scribe.apply(named_in_metadata("verified", 100, "user_a"))
    scribe.apply(named_in_metadata("verified", 110, "user_b"))
    left = known(scribe.ledger, "user_a")
    assert (left.standing.status, left.standing.version, left.sessions) == ("none", NOW + 1, ())
    assert [line.status for line in left.timeline] == ["verified", "none"]
    scribe.apply(named_in_metadata("verified", 120, "user_a"))
    assert known(scribe.ledger, "user_a").standing.version == NOW + 2
    assert known(scribe.ledger, "user_b").standing.status == "none"


def test_an_older_event_does_not_move_a_session_back(scribe: Scribe) -> None:
    scribe.apply(named_in_metadata("verified", 110, "user_b"))
    scribe.apply(named_in_metadata("processing", 100, "user_a"))
    assert scribe.ledger.read_reference("user_a", livemode=False) is None
    assert known(scribe.ledger, "user_b").standing.status == "verified"


def test_test_mode_never_touches_live_mode(scribe: Scribe) -> None:
    scribe.apply(observation("requires_input", 100, livemode=True, event="evt_live"))
    scribe.apply(observation("verified", 110, livemode=False, event="evt_test"))
    assert known(scribe.ledger, "user_1", livemode=True).standing.status == "requires_input"
    assert known(scribe.ledger, "user_1", livemode=False).standing.status == "verified"
    assert [status for _, status in scribe.ledger.all_standings(True)] == [
        known(scribe.ledger, "user_1", livemode=True).standing
    ]


def test_an_account_never_touches_another_account(scribe: Scribe) -> None:
    scribe.apply(observation("requires_input", 100))
    scribe.apply(observation("verified", 110, account="acct_1"))
    assert known(scribe.ledger, "user_1").standing.status == "requires_input"
    other = scribe.ledger.read_reference("user_1", account="acct_1", livemode=False)
    assert other is not None
    assert other.standing.status == "verified"


@pytest.mark.parametrize("letter", ["x", "é", "漢", "😀"])
def test_a_reference_may_have_5000_characters(scribe: Scribe, letter: str) -> None:
    long, other = letter * 5_000, letter * 4_999 + "."
    scribe.apply(observation("verified", 100, reference=long))
    scribe.apply(observation("processing", 100, reference=other, session="vs_2"))
    assert known(scribe.ledger, long).client_reference_id == long
    assert known(scribe.ledger, long).standing.status == "verified"
    assert known(scribe.ledger, other).standing.status == "processing"


def test_a_record_has_the_newest_session_first(scribe: Scribe) -> None:
    for number in (2, 3, 1):
        scribe.apply(observation("processing", 900, session=f"vs_{number}", created=number))
    sessions = known(scribe.ledger, "user_1").sessions
    assert [session.id for session in sessions] == ["vs_3", "vs_2", "vs_1"]


def test_a_long_timeline_is_cut_to_its_newest_lines(scribe: Scribe) -> None:
    lines = MAX_TIMELINE_LINES + 5
    scribe.apply(
        *(observation("processing" if n % 2 else "requires_input", 100 + n) for n in range(lines))
    )
    record = known(scribe.ledger, "user_1")
    assert [line.version for line in record.timeline] == list(range(NOW + 5, NOW + lines))


def test_all_standings_gives_each_reference_once(scribe: Scribe) -> None:
    for number in range(5):
        scribe.apply(
            observation("verified", 100, session=f"vs_{number}", reference=f"user_{number}")
        )
    scribe.apply(observation("verified", 200, session="vs_o", reference=None))
    standings = dict(scribe.ledger.all_standings(False))
    assert sorted(standings) == [f"user_{number}" for number in range(5)]
    assert standings["user_3"] == known(scribe.ledger, "user_3").standing
    assert list(scribe.ledger.all_standings(True)) == []


def test_the_view_shows_the_standings_to_sql(scribe: Scribe) -> None:
    scribe.apply(observation("requires_input", 100, error="document_expired"))
    rows = scribe.query("SELECT * FROM reference_standings")
    expected = ("user_1", "", False, "requires_input", "vs_1", 100, None, 1, "document_expired")
    assert rows == [
        (*expected, "use_another_document", None, "document", None, None, NOW, "", 1, 0, None)
    ]


def test_has_events_knows_applied_events_only(scribe: Scribe) -> None:
    seen = observation("verified", 100)._replace(event_id="evt_known")
    scribe.apply(seen)
    assert scribe.ledger.has_events(["evt_known", "evt_other"]) == {"evt_known"}
