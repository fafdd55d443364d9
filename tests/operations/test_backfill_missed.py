"""Backfill: what counts as missed by the webhook, and how near to now it comes."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.event import EVENT_TYPES, SessionEvent
from app.ledger.stats import MISSED
from app.operations import backfilled
from app.operations.backfill import IN_FLIGHT, BackfillProgress
from app.operations.backfilled import backfilled_of, remember_backfilled
from app.queue.model import event_job
from tests.support.account import Account
from tests.support.events import OPENED, event_body
from tests.support.places import counts


def run(account: Account) -> BackfillProgress:
    """Through to the end."""
    *_, last = account.backfill().steps()
    return last


def missed(account: Account) -> int:
    """How many the metrics say that the webhook did not bring."""
    return int(account.context.stores.ledger.cursors.get(MISSED) or 0)


def test_what_the_webhook_did_not_bring_is_counted_over_all_runs(account: Account) -> None:
    run(account)
    for _ in range(2):
        account.advance(120)
        account.verified()
        assert run(account).missed == 3
    assert missed(account) == 6


def test_the_first_fill_of_a_new_ledger_is_no_alarm(account: Account) -> None:
    for day in range(3):
        account.verified(f"user-{day}")
        account.advance(9 * 86400)
    first = next(step for step in account.backfill().steps() if step.missing)
    found = run(account)  # goes on with the fill
    assert first.missing > 0 < found.missing
    assert first.missing + found.missing == 9
    assert (first.missed, found.missed, missed(account)) == (0, 0, 0)


def test_by_hand_it_goes_to_now(account: Account) -> None:
    account.verified()
    assert run(account).missing == 3
    again = run(account)
    assert (again.missing, again.events) == (0, 3)


def test_the_clocks_leaves_the_last_minute_to_the_webhook(account: Account) -> None:
    account.verified()
    *_, found = account.backfill(in_flight=IN_FLIGHT).steps()
    assert found.missing == 0
    account.advance(IN_FLIGHT + 1)
    *_, found = account.backfill(in_flight=IN_FLIGHT).steps()
    assert found.missing == 3


def test_what_was_delivered_and_applied_meanwhile_is_not_missing(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(account)
    account.advance(120)
    account.verified()
    ledger = type(account.context.stores.ledger)
    look, looked = ledger.has_events, list[Any]()

    def delivered_after_the_look(self: Any, ids: Any) -> set[str]:
        found = look(self, ids)
        if ids and not looked:
            looked.append(ids)
            bodies = account.stripe.list_events({"limit": 100, "types": sorted(EVENT_TYPES)}).items
            events = [event for body in bodies if (event := SessionEvent.parse(body))]
            account.context.stores.events.enqueue_all(map(event_job, events))
            account.work()
        return found

    monkeypatch.setattr(ledger, "has_events", delivered_after_the_look)
    found = run(account)
    assert looked
    assert (found.missing, found.missed, missed(account)) == (0, 0, 0)
    assert counts(account.context.stores.events)["queued"] == 0


def test_the_timeline_can_tell_what_backfill_has_brought(account: Account) -> None:
    account.verified()
    run(account)
    redis = account.context.stores.redis
    account.work()
    record = account.context.stores.ledger.read_reference("user-1", livemode=False)
    assert record is not None
    ids = [str(line.event_id) for line in record.timeline]
    assert backfilled_of(redis, [*ids, "evt_by_webhook"]) == set(ids)


def test_of_what_backfill_has_brought_the_newest_is_remembered(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfilled, "KEPT", 2)
    events = [SessionEvent.parse(event_body(id=f"evt_{n}", at=OPENED + n)) for n in range(4)]
    redis = account.context.stores.redis
    remember_backfilled(redis, [event for event in reversed(events) if event is not None])
    assert backfilled_of(redis, ["evt_0", "evt_1", "evt_2", "evt_3"]) == {"evt_2", "evt_3"}
    assert backfilled_of(redis, []) == set()
