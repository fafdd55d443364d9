"""What a replay would change, and that the replay then changes it so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.operations.dlq import preview as module
from app.operations.dlq.discard import discard
from app.operations.dlq.preview import Preview, preview
from app.queue.model import EVENTS, named
from tests.support.deployment import Deployment, letter


def previews(deployment: Deployment) -> dict[str | None, Preview]:
    """By reference. Nothing is done."""
    before = deployment.snapshot()
    found = {one.reference: one for one in preview(deployment.letters, deployment.ledger, 1_000)}
    assert deployment.snapshot() == before
    return found


def replay(deployment: Deployment) -> None:
    """Have a worker apply all."""
    deployment.events.replay(sorted(deployment.dead))
    while deployment.worker().run_once():
        pass


def assert_comes_true(deployment: Deployment) -> dict[str | None, Preview]:
    """The previews, each of which is what a replay then makes of the reference."""
    found = previews(deployment)
    replay(deployment)
    for reference, one in found.items():
        if reference is not None:
            came = deployment.record(reference).standing
            assert one.after is not None
            # How often a standing changes on its way depends on the order that workers take.
            assert one.after._replace(version=0) == came._replace(version=0)
            assert one.changes == (came != one.before)
    return found


def with_fields(payload: list[Any], **fields: Any) -> list[Any]:
    """An event of the queue with other values of these fields."""
    return list({**named(EVENTS, payload), **fields}.values())


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


def test_each_reference_is_shown_as_it_stands_and_as_it_would(deployment: Deployment) -> None:
    deployment.apply(letter("evt_0", "processing", "a"))
    deployment.bury(
        letter("evt_1", "verified", "a", at=10),
        letter("evt_2", "requires_input", "b", at=5, error="document_expired"),
        letter("evt_3", "processing", "b", at=7),
    )
    assert changes(assert_comes_true(deployment)) == {
        "a": (1, "processing", "verified"),
        "b": (2, "-", "processing"),
    }


def test_an_event_that_is_in_the_ledger_already_changes_nothing(deployment: Deployment) -> None:
    deployment.apply(letter("evt_1", "verified"))
    deployment.bury(letter("evt_1", "verified"))
    found = assert_comes_true(deployment)
    assert (found["user-1"].letters, found["user-1"].changes) == (1, False)


def test_an_older_event_changes_nothing(deployment: Deployment) -> None:
    deployment.apply(letter("evt_9", "verified", at=90))
    deployment.bury(letter("evt_1", "processing", at=10))
    assert changes(assert_comes_true(deployment)) == {}


def test_a_failed_attempt_of_the_past_is_a_change_though_the_status_is_not(
    deployment: Deployment,
) -> None:
    deployment.apply(letter("evt_9", "verified", at=90))
    deployment.bury(letter("evt_1", "requires_input", at=10, error="abandoned"))
    found = assert_comes_true(deployment)["user-1"]
    assert found.changes
    assert found.after is not None
    assert (found.after.status, found.after.attempts) == ("verified", 1)


def test_a_letter_that_no_version_can_read_counts_for_nobody(deployment: Deployment) -> None:
    deployment.bury(letter("evt_1"), replace(letter("evt_2"), payload={"of": "another version"}))
    assert changes(previews(deployment)) == {"user-1": (1, "-", "verified")}


def test_letters_without_a_reference_stand_together(deployment: Deployment) -> None:
    deployment.bury(letter("evt_1", reference=None), letter("evt_2", reference=None))
    found = assert_comes_true(deployment)
    assert {reference: one.letters for reference, one in found.items()} == {None: 2}
    assert not found[None].changes


def test_a_letter_without_a_reference_counts_for_the_one_its_session_is_known_by(
    deployment: Deployment,
) -> None:
    deployment.apply(letter("evt_0", "processing", "a", session="vs_1"))
    deployment.bury(letter("evt_1", "verified", None, at=9, session="vs_1"))
    assert changes(assert_comes_true(deployment)) == {"a": (1, "processing", "verified")}


def test_a_letter_without_a_reference_counts_for_the_one_another_letter_names(
    deployment: Deployment,
) -> None:
    deployment.bury(
        letter("evt_1", "verified", None, at=9, session="vs_1"),
        letter("evt_2", "processing", "a", at=5, session="vs_1"),
    )
    assert changes(assert_comes_true(deployment)) == {"a": (2, "-", "verified")}


def test_an_orphan_sessions_history_counts_once_a_letter_names_its_reference(
    deployment: Deployment,
) -> None:
    deployment.apply(letter("evt_0", "verified", None, at=9, session="vs_1"))
    deployment.bury(letter("evt_1", "processing", "a", at=5, session="vs_1"))
    assert changes(assert_comes_true(deployment)) == {"a": (1, "-", "verified")}


def test_a_session_that_changes_hands_changes_both_references(deployment: Deployment) -> None:
    by_name = letter("evt_0", "verified", "a", session="vs_1")
    by_metadata = replace(by_name, payload=with_fields(by_name.payload, reference_source=1))
    deployment.apply(by_metadata)
    deployment.bury(letter("evt_1", "verified", "b", at=9, session="vs_1"))
    assert changes(assert_comes_true(deployment)) == {
        "a": (0, "verified", "none"),
        "b": (1, "-", "verified"),
    }


def test_two_sessions_of_a_reference_are_resolved_together(deployment: Deployment) -> None:
    deployment.apply(letter("evt_0", "verified", "a", session="vs_1"))
    deployment.bury(letter("evt_1", "canceled", "a", at=9, session="vs_2"))
    assert changes(assert_comes_true(deployment)) == {}


def test_test_and_live_mode_are_kept_apart(deployment: Deployment) -> None:
    live = letter("evt_1", "verified", "a", session="vs_1")
    deployment.bury(
        replace(live, payload=with_fields(live.payload, livemode=True)),
        letter("evt_2", "processing", "a", session="vs_1"),
    )
    found = [
        (one.livemode, one.after and one.after.status)
        for one in preview(deployment.letters, deployment.ledger, 1_000)
    ]
    assert found == [(False, "processing"), (True, "verified")]


def test_more_letters_of_one_session_than_a_statement_takes_are_previewed(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_SIZE", 3)
    deployment.bury(*(letter(f"evt_{n}", "processing", at=n) for n in range(10)))
    assert changes(assert_comes_true(deployment)) == {"user-1": (10, "-", "processing")}


def test_a_reference_that_has_only_had_letters_discarded_does_not_stand_yet(
    deployment: Deployment,
) -> None:
    deployment.bury(letter("evt_1"), letter("evt_2", "processing"))
    discard(
        deployment.events,
        deployment.ledger,
        [x for x in deployment.letters if x.id == "evt_1"],
        "why",
        1,
    )
    found = assert_comes_true(deployment)["user-1"]
    assert found.before is None
    assert found.after is not None
    assert found.after.status == "processing"
