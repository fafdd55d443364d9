"""`GET /metrics` as Prometheus scrapes it."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import pytest
from redis import Redis
from sqlalchemy import text
from starlette.testclient import TestClient

from app.ledger.counts import count_standings
from app.ledger.engine import open_engine
from app.ledger.ledger import Ledger
from app.local.valkey import Valkey, free_port
from app.queue.model import EFFECTS, EVENTS
from app.queue.transitions import JobQueue
from tests.support.events import event_body
from tests.support.ledger import POLICY, observation
from tests.support.places import new
from tests.support.postgres import postgres_server
from tests.support.stores import migrate_database
from tests.support.waiting import eventually
from tests.support.workers import worker_of
from tests.web.conftest import TOKEN
from tests.web.deliveries import SECRET, URL, signed
from tests.web.metrics.scraping import BEARER, Samples, client_of, scrape
from tests.web.processes import Web, request


def fill(ledger: Ledger, now: int) -> None:
    """Two references, an orphan, and a redaction that Stripe has forgotten."""
    for seen in (
        observation("verified", now - 90, session="vs_1", reference="user_PLANTED"),
        observation("processing", now - 80, session="vs_2", reference="user_2", livemode=True),
        observation("requires_input", now - 70, session="vs_3", reference=None, livemode=True),
        observation("canceled", now - 500_000, session="vs_4", redaction="processing"),
    ):
        ledger.apply([seen], policy=POLICY, now=now)


def count(ledger_url: str, now: int) -> None:
    """What the clock counts, in two runs."""
    engine = open_engine(ledger_url)
    for _ in range(2):
        count_standings(engine, now)
    engine.dispose()


def assert_counted(found: Samples) -> None:
    assert found["standings", "test", "verified"] == 1
    assert found["standings", "live", "processing"] == 1
    assert (found["orphans", "live"], found["orphans", "test"]) == (1, 0)
    assert found["redactions_overdue",] == 1
    assert 70 <= found["last_event_age_seconds",] < 100
    assert found["effects", "pending"] > 0
    assert found["effects", "failed"] == 0
    assert found["events_missed_by_webhook_total",] == 7


def test_the_ledger_is_counted(client: TestClient, ledger: Ledger, database_url: str) -> None:
    now = int(time.time())
    fill(ledger, now)
    count(database_url, now)
    ledger.cursors.add("events_missed_by_webhook", 7, now)
    assert_counted(scrape(client))


def test_a_ledger_in_postgresql_is_counted_alike(environment: dict[str, str], redis: Redis) -> None:
    now = int(time.time())
    with postgres_server() as server:
        url = server.url(server.create_database())
        migrate_database(url)
        ledger = Ledger(open_engine(url))
        fill(ledger, now)
        ledger.cursors.add("events_missed_by_webhook", 7, now)
        ledger.close()
        count(url, now)
        with client_of(environment, DATABASE_URL=url) as client:
            assert_counted(scrape(client))


def test_events_of_another_mode_are_counted_as_refused(client: TestClient) -> None:
    body = json.dumps(event_body() | {"livemode": True}).encode()
    assert client.post(URL, content=body, headers=signed(body, SECRET)).status_code == 400
    eventually(lambda: scrape(client).get(("requests_refused_total", "mode")) == 1.0)


def test_ignored_events_of_identitys_are_counted_by_type(client: TestClient, redis: Redis) -> None:
    invented = "identity.verification_session.invented"
    for type in (invented, invented, "account.updated"):
        body = json.dumps(event_body() | {"type": type}).encode()
        assert client.post(URL, content=body, headers=signed(body, SECRET)).status_code == 200
    counted = {"events_ignored_total": 2.0}

    def is_counted() -> bool:
        found = scrape(client)
        return {name[0]: n for name, n in found.items() if invented in name} == counted

    eventually(is_counted, 5)


def test_jobs_are_counted_by_queue_and_state(client: TestClient, redis: Redis) -> None:
    jobs = JobQueue(redis, EVENTS)
    jobs.enqueue_all([new("evt_1"), new("evt_2")])
    first, _ = jobs.claim("lease", 60, 2)
    jobs.bury(first, "permanent_error", "Oops", "")
    jobs.enqueue_all([new("evt_3"), new("evt_4"), new("evt_5"), new("evt_6", delay=60)])
    JobQueue(redis, EFFECTS).enqueue(new("effect-1"))
    found = scrape(client)
    states = ("queued", "started", "scheduled", "failed")
    assert [found["jobs", "events", state] for state in states] == [3, 1, 1, 1]
    assert [found["jobs", "effects", state] for state in states] == [1, 0, 0, 0]


def test_completed_jobs_are_counted_on_by_queue(client: TestClient, redis: Redis) -> None:
    jobs = JobQueue(redis, EVENTS)
    for id in ("evt_1", "evt_2"):
        jobs.enqueue(new(id))
        jobs.claim("lease", 60, 1)
        jobs.complete("lease", [id, "evt_other"])
    found = scrape(client)
    assert (found["jobs_completed_total", "events"], found["jobs_completed_total", "effects"]) == (
        2,
        0,
    )


def test_a_ledger_that_answers_is_up_though_its_numbers_cannot_be_read(
    client: TestClient, database_url: str
) -> None:
    engine = open_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE effects RENAME TO others"))
    engine.dispose()
    found = scrape(client)
    assert found["up", "ledger"] == 1
    assert not [name for name, *_ in found if name == "standings"]


def test_the_oldest_queued_event_has_its_age(client: TestClient, redis: Redis) -> None:
    assert scrape(client)["oldest_queued_seconds", "events"] == 0
    JobQueue(redis, EVENTS).enqueue(new("evt_1"))
    assert 0 < scrape(client)["oldest_queued_seconds", "events"] < 30
    redis.hset("rq:job:evt_1", "enqueued_at", "2020-01-01T00:00:00.000000Z")
    assert scrape(client)["oldest_queued_seconds", "events"] > 100_000_000


def test_a_job_that_the_clock_left_behind_is_counted(client: TestClient, redis: Redis) -> None:
    jobs = JobQueue(redis, EVENTS)
    jobs.enqueue(new("evt_1"))
    jobs.claim("lease", 60, 1)
    assert scrape(client)["overdue_seconds", "events"] == 0
    redis.zincrby("rq:wip:identity-events", -100, "evt_1:lease")
    assert 39 <= scrape(client)["overdue_seconds", "events"] < 100


def test_workers_are_counted_while_they_live(client: TestClient, redis: Redis) -> None:
    workers = [worker_of(redis, lambda *_: None) for _ in range(2)]
    assert scrape(client)["workers", "events"] == 2
    assert scrape(client)["workers", "effects"] == 0
    redis.delete(workers[0].key)  # as it expires a minute after the last sign of life
    assert scrape(client)["workers", "events"] == 1


def test_no_label_holds_an_id_or_a_reference(
    client: TestClient, ledger: Ledger, redis: Redis
) -> None:
    fill(ledger, int(time.time()))
    JobQueue(redis, EVENTS).enqueue(new("evt_PLANTED"))
    shown = client.get("/metrics", headers=BEARER).text
    for planted in ("PLANTED", "user_", "vs_", "evt_"):
        assert planted not in shown


def test_without_a_token_nothing_is_shown(client: TestClient) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        answer = client.get("/metrics", headers=headers)
        assert (answer.status_code, "identity_" in answer.text) == (401, False)


def test_it_is_the_text_that_prometheus_asks_for(client: TestClient) -> None:
    answer = client.get("/metrics", headers=BEARER)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert answer.headers["cache-control"] == "no-store"


def test_without_redis_the_ledger_is_still_counted(
    environment: dict[str, str], ledger: Ledger
) -> None:
    fill(ledger, int(time.time()))
    with client_of(environment, REDIS_URL=f"redis://127.0.0.1:{free_port()}") as client:
        found = scrape(client)
    assert (found["up", "redis"], found["up", "ledger"]) == (0, 1)
    assert found["orphans", "live"] == 1
    assert not [name for name, *_ in found if name == "jobs"]


def test_without_the_ledger_redis_is_still_counted(
    environment: dict[str, str], redis: Redis, tmp_path: Path
) -> None:
    JobQueue(redis, EVENTS).enqueue(new("evt_1"))
    away = f"sqlite:///{tmp_path / 'no such folder' / 'ledger.db'}"
    with client_of(environment, DATABASE_URL=away) as client:
        found = scrape(client)
    assert (found["up", "redis"], found["up", "ledger"]) == (1, 0)
    assert found["jobs", "events", "queued"] == 1
    assert not [name for name, *_ in found if name == "standings"]


def test_a_user_of_redis_without_rights_is_reported_as_down(
    environment: dict[str, str], redis: Redis, valkey: Valkey
) -> None:
    redis.acl_setuser("narrow", enabled=True, passwords=["+p"], keys=["*"], commands=["+ping"])
    try:
        url = f"redis://narrow:p@127.0.0.1:{valkey.port}/0"
        with client_of(environment, REDIS_URL=url) as client:
            found = scrape(client)
    finally:
        redis.acl_deluser("narrow")
    assert (found["up", "redis"], found["up", "ledger"]) == (0, 1)


def test_a_store_that_comes_back_is_counted_again(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with (
        Valkey(tmp_path / "valkey", fsync="no") as own,
        client_of(environment, REDIS_URL=own.url) as client,
    ):
        assert scrape(client)["up", "redis"] == 1
        own.stop()
        assert scrape(client)["up", "redis"] == 0
        own.start()
        assert scrape(client)["up", "redis"] == 1


def test_stores_that_hang_hold_a_scrape_up_for_a_moment_and_the_loop_not_at_all(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.web.metrics.endpoint.READ_TIMEOUT", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        away = {
            "REDIS_URL": f"redis://127.0.0.1:{port}",
            "DATABASE_URL": f"postgresql://u:PLANTED@127.0.0.1:{port}/x?connect_timeout=2",
        }
        with client_of(environment, **away) as client:
            for _ in range(2):  # the second scrape finds the first one's readings under way
                began = time.monotonic()
                found = scrape(client)
                assert time.monotonic() - began < 1.5
                assert (found["up", "redis"], found["up", "ledger"]) == (0, 0)
            began = time.monotonic()
            assert client.get("/healthz").status_code == 200
            assert time.monotonic() - began < 0.4


def test_the_process_answers_it(web: Web) -> None:
    answer = web.exchange(request("GET", "/metrics", b"", ("Authorization", f"Bearer {TOKEN}")))
    assert (answer.status, b'identity_up{store="redis"} 1.0' in answer.body) == (200, True)
