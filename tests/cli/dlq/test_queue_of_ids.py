"""A queue that an id tells is not asked for."""

from __future__ import annotations

from functools import partial

import pytest

from app.cli import dlq_replay
from app.operations.dlq.replay import Replay
from tests.cli.dlq.letters import bury_five
from tests.support.cli import Run
from tests.support.deployment import Deployment, letter


def test_show_finds_an_effect_by_its_id(deployment: Deployment, run: Run) -> None:
    id = deployment.bury_effect()
    ran = run("show", id)
    assert (ran.code, "recheck vs_user-1" in ran.out) == (0, True)


def test_replay_puts_an_effect_back_by_its_id(
    deployment: Deployment, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    id, effects = deployment.bury_effect(), deployment.stores.effects

    def work(seconds: float) -> None:
        effects.complete("other", [job.id for job in effects.claim("other", 60, 10)])

    monkeypatch.setattr(dlq_replay, "Replay", partial(Replay, sleep=work))
    assert run("replay", id).out == "1 replayed: 1 done, 0 failed again.\n"


def test_discard_removes_an_effect_by_its_id(deployment: Deployment, run: Run) -> None:
    id = deployment.bury_effect()
    assert run("discard", id, "--yes", "--why", "because").out == "1 discarded.\n"
    assert deployment.ledger.effect_status(id) == "dropped"


def test_an_event_whose_id_looks_like_an_effects_is_known_by_its_queue(
    deployment: Deployment, run: Run
) -> None:
    deployment.bury(letter("evt_1-notify"))
    assert "verified vs_user-1" in run("show", "evt_1-notify").out


@pytest.mark.parametrize(("id", "queue"), [("evt_9", "events"), ("evt_9-notify", "effects")])
def test_of_an_id_that_redis_does_not_hold_its_form_tells_the_queue(
    deployment: Deployment, run: Run, id: str, queue: str
) -> None:
    assert run("show", id).err == f"Error: {id} is not among the dead letters of {queue}\n"


@pytest.mark.parametrize("command", ["replay", "discard --yes --why because"])
def test_ids_of_both_queues_are_refused_and_nothing_is_done(
    deployment: Deployment, run: Run, command: str
) -> None:
    bury_five(deployment)
    before = deployment.snapshot()
    ran = run(*command.split(), "evt_2", "evt_1-notify")
    assert (ran.code, ran.out) == (2, "")
    assert "evt_2 is an event and evt_1-notify an effect" in ran.err
    assert deployment.snapshot() == before


def test_a_queue_that_is_named_is_the_one_that_is_looked_into(
    deployment: Deployment, run: Run
) -> None:
    id = deployment.bury_effect()
    ran = run("show", id, "--queue", "events")
    assert ran.code == 1
    assert ran.err.endswith(f"{id} is not among the dead letters of events: it is failed\n")


def test_a_dry_run_of_an_effect_is_refused(deployment: Deployment, run: Run) -> None:
    ran = run("replay", "--dry-run", deployment.bury_effect())
    assert (ran.code, "--dry-run is for events" in ran.err) == (2, True)
