"""Discarded dead letters: a line in the timeline, and no other change."""

from __future__ import annotations

from app.domain.snapshot import SessionKey
from app.domain.standing import ReferenceKey
from app.ledger.rows import Discarded
from tests.ledger.conftest import Scribe
from tests.support.ledger import NOW, POLICY, observation

USER_1 = ReferenceKey("", False, "user_1")


def letter(reference: str | None = "user_1") -> Discarded:
    key = None if reference is None else ReferenceKey("", False, reference)
    return Discarded("evt_dead", key, "vs_1")


def test_a_discarded_letter_leaves_a_line_and_the_standing_as_it_is(scribe: Scribe) -> None:
    scribe.apply(observation("verified", 100))
    scribe.ledger.record_discarded([letter()], "sent by mistake", NOW)
    record = scribe.ledger.read_reference("user_1", livemode=False)
    assert record is not None
    assert record.standing.version == NOW
    line = record.timeline[-1]
    assert (line.cause, line.note, line.event_id) == ("discarded", "sent by mistake", "evt_dead")
    assert (line.previous_status, line.status) == ("verified", "verified")


def test_a_letter_of_a_reference_never_seen_gives_it_a_first_line(scribe: Scribe) -> None:
    scribe.ledger.record_discarded([letter("user_9")], "spam", NOW)
    record = scribe.ledger.read_reference("user_9", livemode=False)
    assert record is not None
    assert (record.standing.version, len(record.timeline)) == (0, 1)


def test_a_reference_that_only_had_letters_discarded_has_no_standing(scribe: Scribe) -> None:
    scribe.ledger.record_discarded([letter("user_9")], "spam", NOW)
    assert dict(scribe.ledger.all_standings(livemode=False)) == {}


def test_a_reference_first_seen_after_a_discard_starts_like_any_other(
    scribe: Scribe,
) -> None:
    scribe.ledger.record_discarded([letter()], "spam", NOW)
    [applied] = scribe.apply(observation("verified", 100))
    assert applied.standing_before is None
    assert applied.standing is not None
    assert applied.standing.version == NOW


def test_an_orphans_discarded_letter_is_written_too(scribe: Scribe) -> None:
    scribe.ledger.record_discarded([letter(None)], "spam", NOW)
    assert scribe.ledger.changed_by({"evt_dead"}) == set()


def test_the_events_that_changed_a_standing_are_told_from_those_that_did_not(
    scribe: Scribe,
) -> None:
    one, late = observation("verified", 100), observation("processing", 90)
    scribe.apply(one, late)
    ids = {one.event_id, late.event_id}
    assert scribe.ledger.has_events([*ids, "evt_other"]) == ids
    assert scribe.ledger.changed_by(ids) == {one.event_id}


def test_a_sessions_reference_is_found_by_its_id(scribe: Scribe) -> None:
    scribe.apply(observation("verified", 100))
    assert scribe.ledger.reference_of(SessionKey("vs_1", "", False)) == USER_1
    assert scribe.ledger.reference_of(SessionKey("vs_1", "", True)) is None


def test_an_effect_that_is_long_overdue_is_found_again(scribe: Scribe) -> None:
    [applied] = scribe.apply(observation("verified", 100))
    ids = [effect.id for effect in applied.effects]
    scribe.ledger.mark_enqueued(ids, NOW)
    assert scribe.ledger.effects_due_unsent(NOW + 9, 10, overdue=NOW) == []
    assert scribe.ledger.effects_due_unsent(NOW + 9, 10, overdue=NOW + 1) == list(applied.effects)


def test_discarded_events_are_known_as_such(scribe: Scribe) -> None:
    scribe.ledger.record_discarded([Discarded("evt_1", None, "vs_1")], "why", NOW)
    (applied,) = scribe.apply(observation("verified", 100, event="evt_2"))
    assert applied.outcome == "applied"
    assert scribe.ledger.discarded(["evt_1", "evt_2", "evt_3"]) == {"evt_1"}
    assert scribe.ledger.discarded([]) == set()


def test_a_reference_that_only_a_discarded_letter_names_is_not_reviewed(scribe: Scribe) -> None:
    scribe.ledger.record_discarded([letter("user_9")], "spam", NOW)
    changed, _ = scribe.ledger.revisions.review_after("", policy=POLICY, limit=10, now=NOW + 1)
    assert changed == []
