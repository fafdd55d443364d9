"""What an id or a reference leads to, in the ledger, in Redis, and at Stripe."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.domain.errors import Misconfigured, Rejected
from app.domain.event import SessionEvent
from app.domain.standing import ReferenceKey
from app.ledger.rows import Discarded
from app.local.valkey import free_port
from app.operations.find import Found, Hit, ask_for, find
from app.queue.connection import open_redis
from app.queue.model import event_job
from app.stores import Stores
from app.stripe.errors import SessionMissing
from tests.support.account import Account
from tests.support.events import event_body
from tests.support.ledger import NOW, POLICY, observation
from tests.support.places import claim_one, dead, new

USER = ReferenceKey("", False, "user_1")


@pytest.fixture
def stores(account: Account) -> Stores:
    return account.context.stores


def apply(stores: Stores, *seen: object, **fields: object) -> None:
    """Have the ledger know `vs_1` of `user_1` as verified, by `evt_1`."""
    one = observation("verified", 100, **{"event": "evt_1", **fields})  # type: ignore[arg-type]
    stores.ledger.apply([one], policy=POLICY, now=NOW)


def hits(found: Found) -> list[tuple[str, str, str]]:
    assert found.away == []
    return [(hit.place, hit.id, hit.status) for hit in found.hits]


def test_an_applied_event_leads_to_its_session_and_user(stores: Stores) -> None:
    apply(stores)
    assert find(stores, " evt_1\n").hits == [Hit("session", "vs_1", "verified", USER)]


def test_an_orphans_event_leads_to_the_orphan(stores: Stores) -> None:
    apply(stores, reference=None)
    assert find(stores, "evt_1").hits == [
        Hit("session", "vs_1", "verified", ReferenceKey("", False, ""))
    ]


def test_a_queued_event_is_found_in_its_queue(stores: Stores) -> None:
    stores.events.enqueue_all([new("evt_1")])
    assert hits(find(stores, "evt_1")) == [("queue", "evt_1", "waits for a worker")]


def test_a_dead_letter_is_found_with_its_reason(stores: Stores) -> None:
    dead(stores.events, "evt_1")
    (hit,) = find(stores, "evt_1").hits
    assert (hit.place, hit.queue) == ("dead_letters", "events")
    assert hit.status.startswith("dead: ")


def test_a_deferred_effect_is_found_in_the_queue_of_effects(stores: Stores) -> None:
    stores.effects.enqueue_all([new("evt_1-notify")])
    job = claim_one(stores.effects)
    stores.effects.retry_later(job, 60, "StripeUnavailable", "Stripe is out of reach")
    (hit,) = find(stores, "evt_1-notify").hits
    assert (hit.place, hit.queue) == ("deferred", "effects")
    assert hit.status == "failed, and is tried again: StripeUnavailable"


def test_an_event_that_was_applied_a_moment_ago_is_found_once(stores: Stores) -> None:
    apply(stores)
    stores.events.enqueue_all([new("evt_1")])
    job = claim_one(stores.events)
    stores.events.complete(job.token, [job.id])
    assert [hit.place for hit in find(stores, "evt_1").hits] == ["session"]


def test_a_session_whose_events_have_all_died_leads_to_them(stores: Stores) -> None:
    event = SessionEvent.parse(event_body(id="evt_1", session="vs_7"))
    assert event is not None
    stores.events.enqueue_all([event_job(event)])
    stores.events.bury(claim_one(stores.events), "permanent_error", "Broken", "it broke")
    assert hits(find(stores, "vs_7")) == [("dead_letters", "evt_1", "dead: permanent_error")]


def test_a_discarded_event_says_so(stores: Stores) -> None:
    apply(stores)
    discarded = Discarded("evt_2", USER, "vs_1")
    stores.ledger.record_discarded([discarded], "a test", NOW)
    assert hits(find(stores, "evt_2")) == [("event", "evt_2", "discarded by an operator")]


def test_a_session_is_found_in_both_modes(stores: Stores) -> None:
    apply(stores)
    apply(stores, livemode=True, event="evt_2", reference="user_2")
    found = {hit.of for hit in find(stores, "vs_1").hits}
    assert found == {USER, ReferenceKey("", True, "user_2")}


@pytest.mark.parametrize("reference", ["user_1", " user_1 ", "vr_user", "ünï/用户"])
def test_a_reference_is_found_as_it_was_typed(stores: Stores, reference: str) -> None:
    apply(stores, reference=reference)
    (hit,) = find(stores, reference).hits
    assert hit.of == USER._replace(reference=reference)


@pytest.mark.parametrize("query", ["", " ", "\0", "x" * 6_000])
def test_what_can_name_nothing_is_looked_for_nowhere(stores: Stores, query: str) -> None:
    found = find(stores, query)
    assert (found.hits, found.looked_at, found.away) == ([], [], [])


def test_nothing_found_says_where_it_was_looked_for(stores: Stores) -> None:
    assert find(stores, "evt_9").looked_at == ["events", "jobs in Redis", "references"]
    assert find(stores, "vs_9").looked_at == [
        "sessions",
        "failed events of the session",
        "references",
    ]
    assert find(stores, "vr_9").looked_at == ["references"]


def test_a_store_that_is_away_keeps_the_other_from_nothing(stores: Stores) -> None:
    apply(stores)
    with open_redis(f"redis://127.0.0.1:{free_port()}") as away:
        found = find(replace(stores, redis=away), "evt_1")
    assert [hit.id for hit in found.hits] == ["vs_1"]
    assert len(found.away) == 1
    assert found.away[0].startswith("jobs in Redis: ")


def test_a_session_that_the_ledger_never_saw_is_fetched_from_stripe(account: Account) -> None:
    session = account.verified("user-1")
    assert find(account.context.stores, session).hits == []
    assert ask_for(account.context.stores, session, "", account.context.now()) == session
    assert account.status("user-1") == "verified"


def test_stripe_says_which_session_a_report_is_of(account: Account) -> None:
    session = account.verified("user-1")
    stripe = account.sandbox.client("sk_test_123")
    report = stripe.v1.identity.verification_sessions.retrieve(session).last_verification_report
    assert ask_for(account.context.stores, str(report), "", account.context.now()) == session
    assert account.status("user-1") == "verified"


def test_a_session_that_stripe_does_not_know_is_none(account: Account) -> None:
    assert ask_for(account.context.stores, "vs_never", "", account.context.now()) is None


def test_a_report_that_stripe_does_not_know_is_refused(account: Account) -> None:
    with pytest.raises(SessionMissing):
        ask_for(account.context.stores, "vr_never", "", account.context.now())


@pytest.mark.parametrize("id", ["evt_1", "user-1", "vs_1/../x", ""])
def test_stripe_is_asked_for_no_other_id(account: Account, id: str) -> None:
    with pytest.raises(Rejected):
        ask_for(account.context.stores, id, "", account.context.now())


def test_without_a_key_stripe_cannot_be_asked(stores: Stores) -> None:
    with pytest.raises(Misconfigured):
        ask_for(replace(stores, stripe=None), "vs_1", "", NOW)
