"""`/metrics` of what failed and waits to be tried again."""

from __future__ import annotations

from redis import Redis
from starlette.testclient import TestClient

from app.queue.model import EFFECTS, EVENTS
from app.queue.transitions import JobQueue
from tests.support.places import claim_one, failing_for, new
from tests.web.metrics.scraping import scrape


def test_what_is_deferred_is_told_by_queue_and_reason_with_the_age_of_the_oldest(
    client: TestClient, redis: Redis
) -> None:
    for spec, ids in ((EVENTS, ("evt_1",)), (EFFECTS, ("evt_2-notify", "evt_3-notify"))):
        jobs = JobQueue(redis, spec)
        for id in ids:
            jobs.enqueue(new(id))
            jobs.retry_later(claim_one(jobs), 60, f"{spec.name}Away", "try again")
    failing_for(redis, "evt_3-notify", 5_000)
    JobQueue(redis, EFFECTS).enqueue(new("evt_4-recheck", delay=60))
    found = scrape(client)
    assert {labels: found[labels] for labels in found if labels[0] == "deferred"} == {
        ("deferred", "events", "eventsAway"): 1,
        ("deferred", "effects", "effectsAway"): 2,
    }
    assert 5_000 <= found["deferred_oldest_seconds", "effects"] < 5_100


def test_where_nothing_waits_the_oldest_has_waited_for_no_time(client: TestClient) -> None:
    found = scrape(client)
    assert [found["deferred_oldest_seconds", queue] for queue in ("events", "effects")] == [0, 0]
    assert not [labels for labels in found if labels[0] == "deferred"]
