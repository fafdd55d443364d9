"""`dlq replay`: what it puts back, and what it says of it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from app.cli import dlq_replay
from app.domain.errors import QueueUnavailable
from app.operations.dlq import replay as replay_module
from app.queue.dead_letters import DeadLetters
from tests.cli.dlq.letters import bury_five
from tests.support.cli import Run
from tests.support.deployment import Deployment, letter
from tests.support.ledger import count_events
from tests.support.workers import NOW


def test_replay_by_ids_puts_back_those_alone(working: Deployment, run: Run) -> None:
    bury_five(working)
    ran = run("replay", "evt_1", "evt_3", "evt_1")
    assert ran.code == 0
    assert ran.out == "2 replayed: 2 applied, 0 unchanged, 0 failed again.\n"
    assert working.dead == {"evt_2", "evt_4", "evt_5"}


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        ("", ""),
        ("--reason permanent_error", "evt_1 evt_5"),
        ("--status verified --older-than 1h", "evt_2 evt_4 evt_5"),
        ("--reference user-1 --younger-than 3d", "evt_1 evt_3 evt_4 evt_5"),
    ],
)
def test_replay_by_filters_puts_back_what_they_mean(
    working: Deployment, run: Run, filters: str, left: str
) -> None:
    bury_five(working)
    assert run("replay", *filters.split()).code == 0
    assert working.dead == set(left.split())


def test_replay_of_all_reads_no_letter(
    working: Deployment, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    bury_five(working)
    monkeypatch.delattr(DeadLetters, "_read")
    assert run("replay").code == 0
    assert working.dead == set()


def test_replay_reports_applied_unchanged_and_failed_again_and_exits_with_1_for_the_last(
    working: Deployment, run: Run
) -> None:
    working.apply(letter("evt_0", "verified", "old", at=90))
    working.bury(
        letter("evt_1", "verified", "a"),
        letter("evt_2", "processing", "old", at=10),
        replace(letter("evt_3"), payload={"of": "another version"}),
    )
    ran = run("replay", "--json")
    assert ran.code == 1
    assert ran.objects == [
        {
            "replayed": 3,
            "applied": 1,
            "unchanged": 1,
            "failed_again": 1,
            "deferred": 0,
            "waiting": 0,
            "stalled": False,
        }
    ]
    # A newer standing stays.
    assert working.standing("old") == ("verified", int(NOW))


def test_a_replay_made_twice_replays_nothing_twice(working: Deployment, run: Run) -> None:
    bury_five(working)
    run("replay", "evt_1")
    again = run("replay", "evt_1", "evt_2")
    assert again.code == 0
    assert "evt_1 is dead no more (finished): left alone" in again.err
    assert again.out.startswith("1 replayed: ")
    run("replay")
    assert run("replay").out == "0 replayed: 0 applied, 0 unchanged, 0 failed again.\n"
    assert count_events(working.stores.engine) == 5


def test_an_id_whose_job_is_forgotten_is_known_by_the_ledger(working: Deployment, run: Run) -> None:
    working.apply(letter("evt_1"))
    ran = run("replay", "evt_1")
    assert ran.code == 0
    assert "evt_1 is dead no more (applied): left alone" in ran.err


def test_without_a_worker_replay_says_so_and_exits_with_1(
    deployment: Deployment, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_module, "STALL_TIMEOUT", 0.1)
    bury_five(deployment)
    ran = run("replay")
    assert ran.code == 1
    assert "does a worker run (`python -m workers`)?" in ran.err
    assert ran.out == "5 replayed: 0 applied, 0 unchanged, 0 failed again, 5 still waiting.\n"


def test_replaying_effects_reports_what_is_done(
    deployment: Deployment, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment.bury_effect()
    effects = deployment.context.stores.effects

    def work(seconds: float) -> None:
        for job in effects.claim("other", 60, 10):
            effects.complete("other", [job.id])

    monkeypatch.setattr(dlq_replay, "Replay", partial(replay_module.Replay, sleep=work))
    ran = run("replay", "--queue", "effects")
    assert (ran.code, ran.out) == (0, "1 replayed: 1 done, 0 failed again.\n")


@pytest.mark.parametrize("rate", ["0", "-1", "fast"])
def test_a_rate_that_is_none_is_refused(deployment: Deployment, run: Run, rate: str) -> None:
    assert run("replay", "--rate", rate).code == 2


def test_redis_going_away_in_the_middle_is_reported_in_a_line(
    deployment: Deployment, run: Run, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    bury_five(deployment)

    def away(seconds: float) -> None:
        raise QueueUnavailable("Redis cannot be reached (ConnectionError)")

    monkeypatch.setattr(dlq_replay, "Replay", partial(replay_module.Replay, sleep=away))
    ran = run("replay")
    assert ran.code == 1
    assert "(ConnectionError). 5 put back; run it again for the rest." in ran.err
