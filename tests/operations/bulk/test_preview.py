"""What an operation would change: of all letters the numbers, of the first users each."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from app.operations.bulk import preview as module
from app.operations.bulk.preview import preview_operation
from app.operations.bulk.selection import LetterSet
from tests.operations.bulk.starting import EVENTS, meant, previewed
from tests.support.deployment import Deployment, letter


def test_each_user_is_shown_as_they_stand_and_as_they_would(deployment: Deployment) -> None:
    deployment.apply(letter("evt_0", "processing", "a"))
    deployment.bury(letter("evt_1", "verified", "a", at=9), letter("evt_2", "verified", "b"))
    before = deployment.snapshot()
    found = previewed(deployment)
    assert deployment.snapshot() == before
    assert (found.total, found.users) == (2, 2)
    assert {
        (one.reference, one.before and one.before.status, one.after and one.after.status)
        for one in found.changes
    } == {("a", "processing", "verified"), ("b", None, "verified")}


def test_those_who_change_come_first(deployment: Deployment) -> None:
    deployment.apply(letter("evt_9", "verified", "a", at=90))
    deployment.bury(letter("evt_2", "verified", "b"), letter("evt_1", "processing", "a", at=10))
    assert [one.reference for one in previewed(deployment).changes] == ["b", "a"]


def test_only_what_is_meant_is_counted(deployment: Deployment) -> None:
    deployment.bury(letter("evt_1", reference="a"), reason="timed_out")
    deployment.bury(letter("evt_2", reference="b"), letter("evt_3", reference="b"))
    assert previewed(deployment, meant(reason="timed_out")).total == 1
    assert (previewed(deployment, meant(reference="b")).users) == 1
    by_ids = previewed(deployment, LetterSet("events", ids=("evt_1", "evt_3", "evt_9")))
    assert (by_ids.total, by_ids.users) == (2, 2)


def test_ages_are_as_of_the_preview(deployment: Deployment) -> None:
    deployment.bury(letter("evt_1"), letter("evt_2"))
    deployment.age("evt_1", hours=3)
    old = meant(older_than=7200.0)
    assert preview_operation(deployment.stores, "replay", old, time.time()).total == 1


def test_of_many_users_the_first_are_shown_and_all_are_counted(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHOWN_USERS", 3)
    deployment.bury(*(letter(f"evt_{n}", reference=f"user-{n % 8}") for n in range(16)))
    found = previewed(deployment)
    assert (found.total, found.users, len(found.changes)) == (16, 8, 3)
    assert {one.letters for one in found.changes} == {2}


def test_a_user_of_whom_not_all_letters_are_held_is_not_shown_as_if_they_were(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HELD_LETTERS", 4)
    deployment.bury(*(letter(f"evt_{n}", "processing", "much", at=n) for n in range(6)))
    deployment.bury(letter("evt_9", reference="b"))
    found = previewed(deployment)
    assert (found.total, found.users) == (7, 2)
    assert [one.reference for one in found.changes] == ["b"]


def test_a_letter_that_no_version_can_read_is_counted_and_shown_of_nobody(
    deployment: Deployment,
) -> None:
    deployment.bury(replace(letter("evt_1"), payload={"of": "another version"}))
    found = previewed(deployment)
    assert (found.total, found.users, found.changes) == (1, 0, ())


def test_effects_change_no_standing_and_name_whom_they_are_about(deployment: Deployment) -> None:
    deployment.bury_effect()
    found = previewed(deployment, LetterSet("effects"))
    assert (found.total, found.users) == (1, 1)
    (one,) = found.changes
    assert (one.reference, one.letters, one.changes) == ("user-1", 1, False)


def test_a_queue_without_dead_letters_has_an_empty_preview(deployment: Deployment) -> None:
    found = previewed(deployment)
    assert (found.total, found.users, found.changes) == (0, 0, ())


def test_the_digest_is_the_same_while_the_letters_are(deployment: Deployment) -> None:
    deployment.bury(letter("evt_1"), letter("evt_2"))
    first = previewed(deployment).digest
    assert previewed(deployment).digest == first
    deployment.bury(letter("evt_3"))
    assert previewed(deployment).digest != first


def test_the_preview_is_json(deployment: Deployment) -> None:
    deployment.bury(letter("evt_1"))
    shown = previewed(deployment, EVENTS, "discard").as_json()
    assert (shown["kind"], shown["queue"], shown["selection"]) == ("discard", "events", {})
    (change,) = shown["changes"]
    assert (change["reference"], change["before"], change["changes"]) == ("user-1", None, True)
    assert change["after"]["status"] == "verified"
