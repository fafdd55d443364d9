"""A filter over more letters than a page reads: what is shown, what is pinned, what is done."""

from __future__ import annotations

import time

import pytest

from app.domain.errors import Rejected
from app.ledger.operations import Kind
from app.operations.bulk import preview as module
from app.operations.bulk.preview import OperationPreview, preview_operation
from app.operations.bulk.selection import LetterSet
from app.operations.bulk.start import NOT_COUNTED, SetChanged
from tests.operations.bulk.carrying import Hands, row
from tests.operations.bulk.starting import EVENTS, meant, started
from tests.support.deployment import Deployment, letter
from tests.support.workers import NOW

SLOW = meant(reason="timed_out")


@pytest.fixture(autouse=True)
def page_of_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READ_LETTERS", 3)


@pytest.fixture
def deployment(deployment: Deployment) -> Deployment:
    """Six dead letters, of which three have timed out: the newest, and two that are further on."""
    for number in range(6):
        reason = "timed_out" if number in (0, 1, 5) else "permanent_error"
        deployment.bury(letter(f"evt_{number}", reference=f"user-{number}"), reason=reason)
    return deployment


def shown(
    deployment: Deployment, selection: LetterSet = SLOW, kind: Kind = "replay"
) -> OperationPreview:
    return preview_operation(deployment.stores, kind, selection, NOW, every=False)


def test_the_newest_are_looked_at_and_it_is_said_that_there_may_be_more(
    deployment: Deployment,
) -> None:
    found = shown(deployment)
    assert (found.total, found.every_letter, found.every_user) == (1, False, False)
    assert (found.letters, found.hit) == ("at least 1 dead letter(s)", "at least 1 user(s)")
    assert [one.reference for one in found.changes] == ["user-5"]
    assert not found.as_json()["every_letter"]


def test_all_are_counted_where_that_is_asked_for(deployment: Deployment) -> None:
    found = preview_operation(deployment.stores, "replay", SLOW, NOW)
    assert (found.total, found.every_letter, found.letters) == (3, True, "3 dead letter(s)")


def test_ids_a_whole_queue_and_a_few_letters_are_counted_all_the_same(
    deployment: Deployment,
) -> None:
    by_ids = LetterSet("events", ids=("evt_0", "evt_1"))
    assert [shown(deployment, one).every_letter for one in (by_ids, EVENTS)] == [True, True]
    deployment.events.discard(["evt_2", "evt_3", "evt_4"])
    assert (shown(deployment).every_letter, shown(deployment).total) == (True, 3)


def test_of_old_letters_the_newest_that_are_old_enough_are_looked_at(
    deployment: Deployment,
) -> None:
    for number in range(3):
        deployment.age(f"evt_{number}", hours=48)
    old = meant(older_than=86_400.0)
    found = preview_operation(deployment.stores, "replay", old, time.time(), every=False)
    assert (found.total, found.every_letter) == (3, False)


def test_a_replay_does_all_that_match_and_counts_them_first(deployment: Deployment) -> None:
    operation = started(deployment, SLOW, digest=shown(deployment).digest)
    assert (operation.total, operation.note) == (6, NOT_COUNTED)
    deployment.bury(letter("evt_new"), reason="timed_out")
    ended = Hands(deployment).run()
    assert (ended.state, ended.total, ended.done, ended.gone, ended.note) == ("done", 3, 3, 0, "")
    assert row(deployment, operation) == ended
    assert deployment.dead == {"evt_2", "evt_3", "evt_4", "evt_new"}


def test_a_replay_of_what_the_page_did_not_come_to_may_be_started(deployment: Deployment) -> None:
    named = meant(reference="user-0")
    assert shown(deployment, named).total == 0
    started(deployment, named, digest=shown(deployment, named).digest)
    assert Hands(deployment).run().done == 1
    assert "evt_0" not in deployment.dead


def test_a_letter_that_matches_and_has_died_since_is_told(deployment: Deployment) -> None:
    digest = shown(deployment).digest
    deployment.bury(letter("evt_6", reference="user-6"), reason="timed_out")
    with pytest.raises(SetChanged, match="1 new, 0 gone") as refused:
        started(deployment, SLOW, digest=digest)
    assert refused.value.users == ["user-6"]
    assert not refused.value.preview.every_letter
    assert started(deployment, SLOW, digest=refused.value.preview.digest)


def test_a_letter_that_does_not_match_may_come_but_none_may_go(deployment: Deployment) -> None:
    """That one has gone is seen without reading them, and which one it was is not."""
    digest = shown(deployment).digest
    deployment.bury(letter("evt_6"))
    assert started(deployment, SLOW, digest=digest)
    deployment.events.discard(["evt_2"])
    with pytest.raises(SetChanged, match="0 new, 1 gone"):
        started(deployment, SLOW, digest=digest)


def test_nothing_is_discarded_that_was_not_counted(deployment: Deployment) -> None:
    digest = shown(deployment, kind="discard").digest
    with pytest.raises(Rejected, match="have every letter counted"):
        started(deployment, SLOW, "discard", digest=digest)
    counted = preview_operation(deployment.stores, "discard", SLOW, NOW).digest
    assert started(deployment, SLOW, "discard", digest=counted).total == 3


def test_whoever_goes_on_does_not_count_anew(deployment: Deployment) -> None:
    """What is done is not dead any more: the number would be less than it was."""
    operation = started(deployment, SLOW, digest=shown(deployment).digest, rate=1.0)
    hands = Hands(deployment)
    hands.also(lambda: setattr(hands, "ending", True))
    hands.run()
    half = row(deployment, operation)
    assert (half.state, half.total, half.done) == ("running", 3, 1)
    assert Hands(deployment, "b", late=100).run().done == 3
    assert row(deployment, operation).total == 3
