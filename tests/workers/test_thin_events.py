"""A thin event: its session is retrieved, and merged once under the event's id."""

from __future__ import annotations

import pytest
from redis import Redis

from app.domain.snapshot import SessionKey
from app.domain.thin_event import ThinEvent
from app.queue.dead_letters import DeadLetters
from app.queue.model import EFFECTS, event_job
from app.queue.transitions import JobQueue
from tests.support.account import Account
from tests.support.ledger import count_events
from tests.support.places import counts
from tests.support.workers import event_job as snapshot_job
from tests.support.workers import with_stores, worker_of
from workers.context import Context


def thin(session: str, id: str = "evt_thin", account: str = "") -> ThinEvent:
    return ThinEvent(id, "verified", 1_700_000_000, SessionKey(session, account, False))


def deliver(account: Account, *events: ThinEvent) -> None:
    account.context.stores.events.enqueue_all(map(event_job, events))
    account.work()


def run_effects(account: Account, context: Context | None = None) -> None:
    """Effects workers do all that is queued."""
    redis = account.context.stores.redis
    queue = JobQueue(redis, EFFECTS)
    worker = worker_of(redis, context or account.context, queue=queue)
    while counts(queue)["queued"]:
        worker.run_once()


def dead(account: Account) -> dict[str, tuple[str, str]]:
    """The dead letters of effects: by id, class and text."""
    letters = DeadLetters(account.context.stores.redis, EFFECTS)
    return {letter.id: (letter.error_class, letter.error) for letter in letters}


def test_its_session_comes_to_stand_as_stripe_says(account: Account) -> None:
    session = account.verified()
    deliver(account, thin(session))
    run_effects(account)
    assert account.status() == "verified"
    assert account.context.stores.ledger.has_events(["evt_thin"])


def test_it_is_applied_once_however_often_it_comes(account: Account, redis: Redis) -> None:
    session = account.verified()
    for _ in range(2):
        deliver(account, thin(session))
        run_effects(account)
        redis.delete("rq:job:evt_thin")  # as after an hour
    assert count_events(account.engine) == 1


def test_it_holds_up_no_event_that_shows_its_session(account: Account) -> None:
    account.sandbox.control("POST", "/faults", {"path": "/v1/identity", "status": 503})
    jobs = [event_job(thin("vs_unknown")), snapshot_job("evt_1", "verified", "verified")]
    account.context.stores.events.enqueue_all(jobs)
    account.work()
    assert account.status("user-1") == "verified"
    account.sandbox.control("DELETE", "/faults")


def test_a_session_of_a_connected_account_is_retrieved_there(account: Account) -> None:
    session = account.sandbox.client().v1.identity.verification_sessions.create(
        {"type": "document", "client_reference_id": "user-1"}, {"stripe_account": "acct_thin"}
    )
    deliver(account, thin(session.id, account="acct_thin"))
    run_effects(account)
    ledger = account.context.stores.ledger
    assert ledger.read_reference("user-1", account="acct_thin", livemode=False) is not None


def test_without_a_key_it_is_a_dead_letter_that_says_so_and_can_be_replayed(
    account: Account, redis: Redis
) -> None:
    session = account.verified()
    deliver(account, thin(session))
    run_effects(account, with_stores(account.context, stripe=None))
    ((id, (error_class, error)),) = dead(account).items()
    assert (id, error_class) == ("evt_thin-retrieve", "KeyNeeded")
    assert "set STRIPE_API_KEY" in error
    # Stripe sends the event again, now that there is a key.
    redis.delete("rq:job:evt_thin")
    deliver(account, thin(session))
    run_effects(account)
    assert dead(account) == {}
    assert account.status() == "verified"


def test_a_session_that_stripe_does_not_know_is_a_dead_letter(account: Account) -> None:
    deliver(account, thin("vs_unknown"))
    run_effects(account)
    assert dead(account)["evt_thin-retrieve"][0] == "SessionMissing"


@pytest.mark.parametrize("number", [1, 40])
def test_many_are_asked_for_in_one_transaction(account: Account, number: int) -> None:
    deliver(account, *(thin("vs_1", f"evt_{n}") for n in range(number)))
    assert counts(account.context.stores.effects)["queued"] == number


def test_our_own_account_named_by_an_organizations_event_is_ours(account: Account) -> None:
    session = account.verified()
    list(account.backfill().steps(int(account.stripe_now())))  # the ledger knows its account now
    own = account.stripe.own_account()
    shown = snapshot_job("evt_1", "created", "requires_input", reference="user-2", account=own)
    account.context.stores.events.enqueue_all([event_job(thin(session, account=own)), shown])
    account.work()
    run_effects(account)
    assert account.status("user-1") == "verified"
    assert account.status("user-2") == "requires_input"
    assert account.context.stores.ledger.polling.accounts(False) == []
