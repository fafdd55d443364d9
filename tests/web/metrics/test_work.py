"""`/metrics` tells what the queues' scripts have counted, and how the ledger keeps up."""

from __future__ import annotations

import json
import time

import pytest
from redis import Redis
from sqlalchemy import text
from starlette.testclient import TestClient

from app.ledger import schema
from app.ledger.engine import open_engine
from app.ledger.ledger import Ledger
from app.local.valkey import free_port
from app.operations.notify import gone_flag
from app.queue.counts import LAG_BOUNDS, Kind
from app.queue.model import EFFECTS, EVENTS, NewJob
from app.queue.transitions import JobQueue
from app.web.metrics.freshness import GRACE
from app.web.metrics.work import EFFECT_KINDS
from tests.support.events import event_body
from tests.support.ledger import POLICY, observation
from tests.support.places import claim_one, end_lease, new, now
from tests.support.waiting import eventually
from tests.web.deliveries import ROLLED, SECRET, URL, event, signed
from tests.web.metrics.scraping import BEARER, client_of, read_families, scrape
from workers.effects import EFFECT_RUNNERS

STRIPE = {"STRIPE_API_KEY": "sk_test_123", "STRIPE_API_BASE": f"http://127.0.0.1:{free_port()}"}


def ended(redis: Redis, job: NewJob | str, kind: Kind, queue: JobQueue | None = None) -> None:
    """One job of this kind was completed."""
    queue = queue or JobQueue(redis, EVENTS)
    job = new(job) if isinstance(job, str) else job
    queue.enqueue(job)
    claim_one(queue)
    assert queue.complete("token", [job.id], [kind]) == 1


# --- deliveries --------------------------------------------------------------------------------


def deliver(client: TestClient, body: bytes, secret: str = SECRET, at: float | None = None) -> int:
    return int(client.post(URL, content=body, headers=signed(body, secret, at)).status_code)


def test_deliveries_are_counted_by_what_became_of_them(client: TestClient) -> None:
    assert [deliver(client, event("evt_1")), deliver(client, event("evt_1"))] == [200, 200]
    found = scrape(client)
    outcomes = ("enqueued", "duplicate", "replayed", "refused")
    assert [found["deliveries_total", outcome] for outcome in outcomes] == [1, 1, 0, 0]


def test_deliveries_that_are_refused_are_counted_by_why(client: TestClient) -> None:
    unreadable = json.dumps(event_body() | {"created": "today"}).encode()
    answers = [
        client.post(URL, content=event()).status_code,
        deliver(client, event(), "whsec_anothers"),
        deliver(client, event(), at=time.time() - 3_600),
        deliver(client, unreadable),
        deliver(client, b" " * 600_000),
    ]
    assert answers == [400, 400, 400, 400, 413]
    whys = {"unsigned", "signature", "clock", "unreadable", "too_large"}

    def are_counted() -> bool:
        found = scrape(client)
        return {why for why in whys if found["requests_refused_total", why] == 1} == whys

    eventually(are_counted, 5)


def test_it_is_told_when_each_signing_secret_was_last_used(client: TestClient) -> None:
    began = int(time.time())
    assert deliver(client, event(), ROLLED) == 200

    def used() -> dict[str, float]:
        families = read_families(client)
        name = "identity_signing_secret_last_used_timestamp_seconds"
        (family,) = [family for family in families if family.name == name]
        return {sample.labels["secret"]: sample.value for sample in family.samples}

    eventually(lambda: used()["#2"] >= began, 5)
    assert used()["#1"] == 0


def test_nothing_of_a_signing_secret_is_told(client: TestClient) -> None:
    deliver(client, event())
    shown = client.get("/metrics", headers=BEARER).text
    assert "#1" in shown
    assert "whsec" not in shown


# --- work --------------------------------------------------------------------------------------


def test_events_are_counted_by_type_and_outcome(client: TestClient, redis: Redis) -> None:
    ended(redis, "evt_1", Kind("verified"))
    ended(redis, "evt_2", Kind("requires_input"))
    for n, code in enumerate(("document_expired", "document_expired", "new_code")):
        ended(redis, f"evt_a{n}", Kind(f"requires_input/{code}"))
    found = scrape(client)
    assert found["events_processed_total", "completed", "verified"] == 1
    assert found["events_processed_total", "completed", "requires_input"] == 4
    assert found["events_processed_total", "buried", "canceled"] == 0
    assert found["failed_attempts_total", "document_expired"] == 2
    assert found["failed_attempts_total", "new_code"] == 1


def test_effects_are_counted_by_kind_and_outcome(client: TestClient, redis: Redis) -> None:
    ended(redis, "e1", Kind("recheck"), JobQueue(redis, EFFECTS))
    found = scrape(client)
    assert found["effects_run_total", "recheck", "completed"] == 1
    assert found["effects_run_total", "notify", "deferred"] == 0


def test_every_kind_of_effect_is_told_from_the_start() -> None:
    assert EFFECT_RUNNERS.keys() == EFFECT_KINDS


def test_dead_letters_and_lost_leases_are_counted(client: TestClient, redis: Redis) -> None:
    jobs = JobQueue(redis, EVENTS)
    jobs.enqueue_all([new("evt_1"), new("evt_2")])
    jobs.bury(claim_one(jobs), "attempts_exhausted", "Busy", "")
    claim_one(jobs)
    end_lease(redis, "evt_2")
    jobs.rescue()
    found = scrape(client)
    assert found["dead_letters_total", "events", "attempts_exhausted"] == 1
    assert found["dead_letters_total", "effects", "crashed_worker"] == 0
    assert found["leases_lost_total", "expired", "events"] == 1
    assert found["leases_lost_total", "worker_died", "events"] == 0


def test_the_lag_behind_stripe_is_a_histogram(client: TestClient, redis: Redis) -> None:
    for n, age in enumerate((100, 100, 4_000)):
        ended(redis, f"evt_{n}", Kind("verified", int(now(redis)) - age))
    found = scrape(client)
    assert found["event_lag_seconds_bucket", "60"] == 0
    assert found["event_lag_seconds_bucket", "300"] == 2
    assert found["event_lag_seconds_bucket", "21600"] == 3
    assert found["event_lag_seconds_bucket", "+Inf"] == found["event_lag_seconds_count",] == 3
    assert 4_200 <= found["event_lag_seconds_sum",] < 4_215
    buckets = [name for name in found if name[0] == "event_lag_seconds_bucket"]
    assert len(buckets) == len(LAG_BOUNDS) + 1


def test_what_was_run_and_sent_is_told_with_its_time(client: TestClient, redis: Redis) -> None:
    effects = JobQueue(redis, EFFECTS)
    effects.tally.observe("run", seconds=0.2)
    effects.tally.add("sent", "callback", "delivered")
    effects.tally.observe("send", "callback", seconds=0.15)
    ended(redis, "e1", Kind("notify_callback"), effects)
    found = scrape(client)
    assert found["run_seconds_bucket", "0.25", "effects"] == 1
    assert found["run_seconds_count", "events"] == 0
    assert found["notifications_total", "delivered", "callback"] == 1
    assert found["notifications_total", "failed", "stream"] == 0
    assert found["notification_seconds_sum", "callback"] == pytest.approx(0.15)
    assert found["notification_seconds_count", "callback"] == 1


def test_suspended_workers_are_told(client: TestClient, redis: Redis) -> None:
    assert scrape(client)["workers_suspended",] == 0
    redis.set("rq:suspended", 1)
    assert scrape(client)["workers_suspended",] == 1


# --- freshness -----------------------------------------------------------------------------------


def test_a_database_without_tables_has_migrations_pending_and_answers(
    environment: dict[str, str], redis: Redis, tmp_path: object
) -> None:
    with client_of(environment, DATABASE_URL=f"sqlite:///{tmp_path}/empty.db") as client:
        found = scrape(client)
    assert found["migrations_pending",] == len(schema.revisions())
    assert found["up", "ledger"] == 1


def test_a_migrated_database_has_none(client: TestClient) -> None:
    assert scrape(client)["migrations_pending",] == 0


def test_without_a_key_nothing_is_told_of_asking_stripe(client: TestClient) -> None:
    names = {name for name, *_ in scrape(client)}
    assert "backfill_last_success_timestamp_seconds" not in names
    assert "sessions_to_ask_overdue" not in names
    assert "receiver_gone" not in names


def test_sessions_that_nobody_asks_stripe_about_are_counted_by_kind(
    environment: dict[str, str], redis: Redis, ledger: Ledger, database_url: str
) -> None:
    at = int(time.time())
    for session, status in (("vs_1", "processing"), ("vs_2", "processing"), ("vs_3", "processing")):
        ledger.apply([observation(status, at, session=session)], policy=POLICY, now=at)
    late = {"vs_1": at - GRACE - 60, "vs_2": at - GRACE - 60, "vs_3": at - 60}
    engine = open_engine(database_url)
    with engine.begin() as connection:
        for id, poll_at in late.items():
            update = text("UPDATE sessions SET poll_at = :at WHERE id = :id")
            connection.execute(update, {"at": poll_at, "id": id})
    engine.dispose()
    with client_of(environment, **STRIPE) as client:
        found = scrape(client)
    assert found["sessions_to_ask_overdue", "processing", "test"] == 2
    assert found["sessions_to_ask_overdue", "open", "test"] == 0
    assert found["backfill_last_success_timestamp_seconds", "test"] == 0


def test_a_receiver_that_has_answered_410_is_told_until_it_is_back(
    environment: dict[str, str], redis: Redis, ledger: Ledger
) -> None:
    url = "https://receiver.example/hook"
    secret = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    with client_of(environment, NOTIFY_URL=url, NOTIFY_SECRET=secret) as client:
        told = []
        for flag in (None, "410", ""):
            if flag is not None:
                ledger.cursors.set(gone_flag(url), flag, 100)
            told.append(scrape(client)["receiver_gone", "callback"])
    assert told == [0, 1, 0]
