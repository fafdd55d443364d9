"""The verdict and the strip, gathered from a real Redis and a real ledger."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from starlette.datastructures import Secret

from app.configuration.credentials import SigningSecret
from app.domain.strip import describe
from app.operations.notify import gone_flag
from app.operations.overview.overview import Live, Overview
from app.queue.pausing import pause
from app.queue.secret_use import KEY, fingerprint
from tests.operations.overview.conftest import Make, redis_time, without_ledger, without_redis
from tests.support.deployment import Deployment, letter
from tests.support.events import OPENED

URL = "https://example.com/changed"


def stages_of(live: Live) -> dict[str, str]:
    return {stage.name: describe(stage) for stage in live.stages}


@pytest.mark.usefixtures("workers")
def test_users_are_being_verified(deployment: Deployment, make: Make) -> None:
    deployment.apply(letter("evt_1"))
    deployment.redis.delete("rq:scheduled:identity-effects")
    live = make(now=OPENED + 4).live()
    assert str(live.verdict) == ("Users are being verified. Last event 4 s ago; nothing waits.")
    assert stages_of(live)["Stripe"] == "sends events (last event 4 s ago)"
    assert stages_of(live)["workers"] == "2 run"


@pytest.mark.usefixtures("workers")
def test_nothing_has_come_yet(make: Make) -> None:
    live = make().live()
    assert live.verdict.sentence == "No event has come from Stripe yet."
    assert stages_of(live)["queue"] == "empty"
    assert live.changes == []


def test_users_whose_events_wait_are_counted_once_each(deployment: Deployment, make: Make) -> None:
    jobs = [letter(f"evt_{n}", reference=f"user-{n % 3}") for n in range(5)]
    deployment.events.enqueue_all(jobs)
    sentence = make().live().verdict.sentence
    assert sentence.startswith("3 users lag behind Stripe since ")
    assert sentence.endswith("UTC: no worker runs.")


def test_of_many_that_wait_the_first_are_looked_at(deployment: Deployment, make: Make) -> None:
    jobs = [letter(f"evt_{n}", reference=f"user-{n}") for n in range(520)]
    for start in range(0, len(jobs), 100):
        deployment.events.enqueue_all(jobs[start : start + 100])
    assert make().live().verdict.sentence.startswith("at least 500 users lag behind Stripe")


@pytest.mark.usefixtures("workers")
def test_events_that_fail_are_told_with_their_reason(deployment: Deployment, make: Make) -> None:
    deployment.defer(letter("evt_1"), letter("evt_2"), error_class="HandlerFailed", seconds=400)
    live = make().live()
    assert live.verdict.kind == "bad"
    assert live.verdict.sentence.startswith("1 user lags behind Stripe since ")
    assert "2 of their events failed and are tried again (HandlerFailed)" in live.verdict.sentence
    assert stages_of(live)["queue"] == "2 failed, tried again (oldest 6 min)"


@pytest.mark.usefixtures("workers")
def test_a_pause_is_seen(deployment: Deployment, make: Make) -> None:
    pause(deployment.redis, reason=None, by="anna", now=int(redis_time(deployment)))
    assert make().live().verdict.sentence.startswith("Nobody is verified while the workers are")


@pytest.mark.usefixtures("workers")
def test_dead_letters_wait_for_a_person(deployment: Deployment, make: Make) -> None:
    deployment.bury(letter("evt_1"))
    assert "a dead letter waits for a person" in make().live().verdict.sentence


@pytest.mark.usefixtures("workers")
def test_a_receiver_that_answered_410_is_seen(deployment: Deployment, make: Make) -> None:
    deployment.ledger.cursors.set(gone_flag(URL), "410", 1)
    live = make(notify_url=URL, notify_stream="changes").live()
    assert "your callback is told nothing" in live.verdict.sentence
    assert stages_of(live)["your system"] == "answered 410"
    assert make(notify_stream="changes").live().verdict.kind == "warn"


@pytest.mark.usefixtures("workers")
def test_who_is_left_alone_is_seen(deployment: Deployment, make: Make) -> None:
    deployment.redis.set("identity:resting:Stripe", "1", px=60_000)
    assert "Stripe does not answer" in make().live().verdict.sentence
    deployment.redis.set("identity:resting:notify_callback", "1", px=60_000)
    assert stages_of(make(notify_url=URL).live())["your system"] == "slow to fail"


@pytest.mark.usefixtures("workers")
def test_the_last_delivery_is_known_by_the_secrets_that_signed_it(
    deployment: Deployment, make: Make
) -> None:
    secrets = (SigningSecret(Secret("whsec_1"), None), SigningSecret(Secret("whsec_2"), None))
    deployment.redis.hset(KEY, fingerprint(secrets[1]), OPENED)
    live = make(now=OPENED + 9, webhook_secrets=secrets).live()
    assert stages_of(live)["web"] == "takes deliveries (last delivery 9 s ago)"
    assert stages_of(make(webhook_secrets=()).live())["web"] == "not known"


def test_without_a_ledger_the_queue_is_shown(deployment: Deployment, make: Make) -> None:
    deployment.events.enqueue(letter("evt_1"))
    live = make(stores=without_ledger(deployment)).live()
    assert "1 user lags behind Stripe since" in live.verdict.sentence
    assert live.verdict.sentence.endswith("the ledger is away.")
    assert "/nowhere" in live.verdict.detail
    assert stages_of(live)["queue"].startswith("1 wait")
    assert (stages_of(live)["ledger"], live.changes) == ("away", None)


def test_without_redis_the_ledger_is_shown(deployment: Deployment, make: Make) -> None:
    deployment.apply(letter("evt_1"))
    live = make(stores=without_redis(deployment)).live()
    assert live.verdict.sentence.startswith("No delivery is taken: Redis is away.")
    assert "refuses the connection" in live.verdict.detail
    assert stages_of(live)["ledger"] == "answers"
    assert [change.line.status for change in live.changes or ()] == ["verified"]


@pytest.mark.usefixtures("workers")
def test_fifty_who_look_at_once_cost_redis_the_reads_of_one(deployment: Deployment) -> None:
    overview = Overview(deployment.stores, lambda: 1.0, lambda: 1.0)
    overview.live()
    overview.rest()

    def commands() -> int:
        return int(deployment.redis.info("stats")["total_commands_processed"])

    before = commands()
    with ThreadPoolExecutor(50) as pool:
        found = list(pool.map(lambda _: overview.as_json(), range(50)))
    assert commands() - before <= 2  # those that count
    assert len({str(one) for one in found}) == 1
