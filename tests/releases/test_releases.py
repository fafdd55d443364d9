"""Jobs and ledgers that each release wrote are read by this one, and nothing of them is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from app.local.valkey import Valkey
from app.queue.model import EFFECTS
from app.queue.purging import payload_of, purge_sessions
from app.queue.transitions import JobQueue
from tests.releases.holding import FOLDER, JOBS, LEDGERS, RELEASES, restore_jobs, restore_ledger
from tests.support.deployment import Deployment, opened_deployment
from tests.support.places import members
from tests.support.postgres import Postgres
from tests.support.stores import migrate_database
from tests.support.workers import impatient, worker_of


@pytest.fixture(
    params=[
        pytest.param((release, kind), marks=pytest.mark.slow if kind == "postgresql" else ())
        for release in RELEASES
        for kind in LEDGERS
    ],
    ids="-".join,
)
def upgraded(
    request: pytest.FixtureRequest, redis: Redis, valkey: Valkey, tmp_path: Path
) -> Iterator[Deployment]:
    """What the release left behind, its ledger brought to the schema of this one."""
    release, kind = request.param
    if kind == "sqlite":
        url = f"sqlite:///{tmp_path / 'ledger.db'}"
    else:
        server: Postgres = request.getfixturevalue("postgres")
        url = server.url(server.create_database())
    restore_jobs(redis, FOLDER / release / JOBS)
    restore_ledger(release, url)
    migrate_database(url)
    with opened_deployment(valkey.url, url) as deployment:
        yield deployment


def run_all(deployment: Deployment, queue: JobQueue) -> None:
    """Run what is queued and what is scheduled, as if its time had come."""
    scheduled = f"rq:scheduled:{queue.spec.rq_name}"
    for id in members(deployment.redis, scheduled):
        deployment.redis.zadd(scheduled, {id: 1})
    queue.promote()
    worker = impatient(worker_of(deployment.redis, deployment.context, queue=queue))
    while worker.run_once():
        pass


def test_its_standings_are_read(upgraded: Deployment) -> None:
    assert upgraded.standing("user-1")[0] == "processing"
    assert upgraded.standing("user-2")[0] == "verified"


def test_the_events_that_it_queued_and_deferred_are_applied(upgraded: Deployment) -> None:
    run_all(upgraded, upgraded.events)
    ids = ["evt_queued", "evt_deferred"]
    assert upgraded.ledger.has_events(ids) == set(ids)
    assert upgraded.standing("user-1")[0] == "verified"
    assert upgraded.standing("user-5")[0] == "canceled"
    assert upgraded.ledger.effect_status("evt_thin-retrieve") == "pending"
    assert upgraded.dead == {"evt_dead"}


def test_its_dead_letters_are_read_and_replayed(upgraded: Deployment) -> None:
    (dead,) = upgraded.letters
    assert dead.payload["reference"] == "user-4"
    upgraded.events.replay([dead.id])
    run_all(upgraded, upgraded.events)
    assert upgraded.standing("user-4")[0] == "verified"
    assert upgraded.dead == set()


def test_its_effects_are_run(upgraded: Deployment) -> None:
    effects = JobQueue(upgraded.redis, EFFECTS)
    ids = members(upgraded.redis, "rq:scheduled:identity-effects")
    assert ids == ["evt_applied-recheck"]
    run_all(upgraded, effects)
    assert {upgraded.ledger.effect_status(id) for id in ids} <= {"done", "dropped"}
    assert len(upgraded.stores.dead_letters(EFFECTS.name)) == 0


def test_a_redaction_takes_the_person_out_of_its_jobs(upgraded: Deployment) -> None:
    assert [purge_sessions(upgraded.events, [f"vs_user-{n}"]) for n in (4, 5)] == [1, 1]
    (dead,) = upgraded.letters
    assert dead.payload["reference"] is None
    deferred = upgraded.events.calls_of(["evt_deferred"])["evt_deferred"]
    assert payload_of(deferred)["reference"] is None
