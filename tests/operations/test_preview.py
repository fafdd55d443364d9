"""What a replay would change: told as it then comes to pass."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.operations import preview as module
from app.operations.preview import Preview, preview
from tests.operations.letters import House, letter


def previews(house: House) -> dict[str | None, Preview]:
    """By reference. Nothing is done."""
    before = house.snapshot()
    found = {one.reference: one for one in preview(house.letters, house.ledger)}
    assert house.snapshot() == before
    return found


def replay(house: House) -> None:
    """Have a worker apply all."""
    house.events.replay(sorted(house.dead))
    while house.worker().run_once():
        pass


def assert_comes_true(house: House) -> dict[str | None, Preview]:
    """The previews, each of which is what a replay then makes of the reference."""
    found = previews(house)
    replay(house)
    for reference, one in found.items():
        if reference is not None:
            came = house.record(reference).standing
            assert one.after is not None
            # How often a standing changes on its way depends on the order that workers take.
            assert replace(one.after, version=0) == replace(came, version=0)
            assert one.changes == (came != one.before)
    return found


def changes(found: dict[str | None, Preview]) -> dict[str | None, tuple[int, str, str]]:
    return {
        reference: (
            one.letters,
            one.before.status if one.before else "-",
            one.after.status if one.after else "-",
        )
        for reference, one in found.items()
        if one.changes
    }


def test_each_reference_is_shown_as_it_stands_and_as_it_would(house: House) -> None:
    house.apply(letter("evt_0", "processing", "a"))
    house.bury(
        letter("evt_1", "verified", "a", at=10),
        letter("evt_2", "requires_input", "b", at=5, error="document_expired"),
        letter("evt_3", "processing", "b", at=7),
    )
    assert changes(assert_comes_true(house)) == {
        "a": (1, "processing", "verified"),
        "b": (2, "-", "processing"),
    }


def test_an_event_that_is_in_the_ledger_already_changes_nothing(house: House) -> None:
    house.apply(letter("evt_1", "verified"))
    house.bury(letter("evt_1", "verified"))
    found = assert_comes_true(house)
    assert (found["user-1"].letters, found["user-1"].changes) == (1, False)


def test_an_older_event_changes_nothing(house: House) -> None:
    house.apply(letter("evt_9", "verified", at=90))
    house.bury(letter("evt_1", "processing", at=10))
    assert changes(assert_comes_true(house)) == {}


def test_a_failed_attempt_of_the_past_is_a_change_though_the_status_is_not(house: House) -> None:
    house.apply(letter("evt_9", "verified", at=90))
    house.bury(letter("evt_1", "requires_input", at=10, error="abandoned"))
    found = assert_comes_true(house)["user-1"]
    assert found.changes
    assert found.after is not None
    assert (found.after.status, found.after.attempts) == ("verified", 1)


def test_a_letter_that_no_version_can_read_counts_for_nobody(house: House) -> None:
    house.bury(letter("evt_1"), replace(letter("evt_2"), payload={"of": "another version"}))
    assert changes(previews(house)) == {"user-1": (1, "-", "verified")}


def test_letters_without_a_reference_stand_together(house: House) -> None:
    house.bury(letter("evt_1", reference=None), letter("evt_2", reference=None))
    found = assert_comes_true(house)
    assert {reference: one.letters for reference, one in found.items()} == {None: 2}
    assert not found[None].changes


def test_a_letter_without_a_reference_counts_for_the_one_its_session_is_known_by(
    house: House,
) -> None:
    house.apply(letter("evt_0", "processing", "a", session="vs_1"))
    house.bury(letter("evt_1", "verified", None, at=9, session="vs_1"))
    assert changes(assert_comes_true(house)) == {"a": (1, "processing", "verified")}


def test_a_letter_without_a_reference_counts_for_the_one_another_letter_names(
    house: House,
) -> None:
    house.bury(
        letter("evt_1", "verified", None, at=9, session="vs_1"),
        letter("evt_2", "processing", "a", at=5, session="vs_1"),
    )
    assert changes(assert_comes_true(house)) == {"a": (2, "-", "verified")}


def test_what_an_orphan_session_has_lived_counts_once_a_letter_names_its_reference(
    house: House,
) -> None:
    house.apply(letter("evt_0", "verified", None, at=9, session="vs_1"))
    house.bury(letter("evt_1", "processing", "a", at=5, session="vs_1"))
    assert changes(assert_comes_true(house)) == {"a": (1, "-", "verified")}


def test_a_session_that_changes_hands_changes_both_references(house: House) -> None:
    named = letter("evt_0", "verified", "a", session="vs_1")
    by_metadata = replace(named, payload={**named.payload, "reference_source": 1})
    house.apply(by_metadata)
    house.bury(letter("evt_1", "verified", "b", at=9, session="vs_1"))
    assert changes(assert_comes_true(house)) == {
        "a": (0, "verified", "none"),
        "b": (1, "-", "verified"),
    }


def test_two_sessions_of_a_reference_are_resolved_together(house: House) -> None:
    house.apply(letter("evt_0", "verified", "a", session="vs_1"))
    house.bury(letter("evt_1", "canceled", "a", at=9, session="vs_2"))
    assert changes(assert_comes_true(house)) == {}


def test_test_and_live_mode_are_kept_apart(house: House) -> None:
    live = letter("evt_1", "verified", "a", session="vs_1")
    house.bury(
        replace(live, payload={**live.payload, "livemode": True}),
        letter("evt_2", "processing", "a", session="vs_1"),
    )
    found = [
        (one.livemode, one.after and one.after.status)
        for one in preview(house.letters, house.ledger)
    ]
    assert found == [(False, "processing"), (True, "verified")]


def test_more_letters_of_one_session_than_a_statement_takes_are_previewed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 3)
    house.bury(*(letter(f"evt_{n}", "processing", at=n) for n in range(10)))
    assert changes(assert_comes_true(house)) == {"user-1": (10, "-", "processing")}


def test_a_reference_that_has_only_had_letters_discarded_does_not_stand_yet(house: House) -> None:
    from app.operations.discard import discard

    house.bury(letter("evt_1"), letter("evt_2", "processing"))
    discard(house.events, house.ledger, [x for x in house.letters if x.id == "evt_1"], "why", 1)
    found = assert_comes_true(house)["user-1"]
    assert found.before is None
    assert found.after is not None
    assert (found.after.status, found.after.version) == ("processing", 1)
