"""What is deferred, tried now."""

from __future__ import annotations

import time

import pytest

from app.ledger.engine import LedgerUnavailable
from app.operations.dlq import try_now
from app.operations.dlq.selection import Selection
from app.operations.dlq.try_now import TriedNow, try_matching, try_selected
from tests.support.deployment import Deployment, letter
from tests.support.places import new, place, queued


def test_those_that_are_chosen_are_put_into_the_queue(deployment: Deployment) -> None:
    deployment.defer(letter("evt_1"), letter("evt_2"))
    assert try_selected(deployment.stores, "events", ["evt_1", "evt_9"]) == TriedNow(1, False)
    assert queued(deployment.redis) == ["evt_1"]


def test_what_is_due_later_for_the_first_time_is_left_alone(deployment: Deployment) -> None:
    deployment.events.enqueue(new("evt_1", delay=60))
    assert try_selected(deployment.stores, "events", ["evt_1"]).tried == 0
    assert place(deployment.redis, "evt_1") == "scheduled"


def test_all_that_match_are_put_into_the_queue(deployment: Deployment) -> None:
    deployment.defer(letter("evt_1", reference="a"), letter("evt_2", reference="b"))
    selection = Selection(reference="b")
    assert try_matching(deployment.stores, "events", selection, time.time()) == TriedNow(1, False)
    assert queued(deployment.redis) == ["evt_2"]


def test_of_too_many_the_first_are_tried_and_that_is_said(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(try_now, "MAX_TRIED", 2)
    deployment.defer(*(letter(f"evt_{n}") for n in range(3)))
    found = try_matching(deployment.stores, "events", Selection(), time.time())
    assert found == TriedNow(2, more=True)


def test_nothing_is_tried_while_the_ledger_is_away(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment.defer(letter("evt_1"))

    def away(ledger: object) -> None:
        raise LedgerUnavailable("the ledger is away")

    monkeypatch.setattr("app.ledger.ledger.Ledger.ping", away)
    with pytest.raises(LedgerUnavailable):
        try_matching(deployment.stores, "events", Selection(), time.time())
    assert queued(deployment.redis) == []


def test_what_matches_is_found_behind_more_than_a_page_looks_at(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.operations.dlq.listing.MAX_LOOKED", 2)
    monkeypatch.setattr("app.operations.dlq.listing.PAGE", 2)
    deployment.defer(*(letter(f"evt_{n}", reference=f"user-{n}") for n in range(5)))
    selection = Selection(reference="user-4")
    assert try_matching(deployment.stores, "events", selection, time.time()).tried == 1
    assert queued(deployment.redis) == ["evt_4"]
