"""`dlq discard`: asks, removes, and leaves a line in the timeline."""

from __future__ import annotations

from typing import Any

import pytest

from app.cli import dlq_discard
from app.operations.dlq import discard as discard_module
from app.operations.show_reference import as_json
from tests.cli.dlq.letters import bury_five
from tests.support.cli import CommandResult, Run
from tests.support.deployment import Deployment, letter
from tests.support.places import new, place


def discard(run: Run, *arguments: str, typed: str = "") -> CommandResult:
    return run("discard", "--why", "sent by a test of ours", *arguments, typed=typed)


@pytest.mark.parametrize("typed", ["", "\n", "n\n", "no\n"])
def test_discard_asks_and_without_a_yes_does_nothing(
    deployment: Deployment, run: Run, typed: str
) -> None:
    bury_five(deployment)
    before = deployment.snapshot()
    ran = discard(run, "--reference", "user-1", typed=typed)
    assert ran.code == 1
    assert "Discard 2 dead letter(s) for good?" in ran.err
    assert "Aborted" in ran.err
    assert deployment.snapshot() == before


def test_what_is_discarded_is_gone_and_the_timeline_says_why(
    deployment: Deployment, run: Run
) -> None:
    deployment.apply(letter("evt_0", "verified", "user-1"))
    bury_five(deployment)
    ran = discard(run, "evt_1", "evt_2", typed="y\n")
    assert (ran.code, ran.out) == (0, "2 discarded.\n")
    assert deployment.dead == {"evt_3", "evt_4", "evt_5"}
    told = as_json(deployment.record("user-1"))
    assert [line["cause"] for line in told["timeline"]] == ["verified", "discarded", "discarded"]
    assert {line["event_id"] for line in told["timeline"][1:]} == {"evt_1", "evt_2"}
    assert told["timeline"][-1]["note"] == "sent by a test of ours"
    assert told["standing"]["status"] == "verified"


def test_discard_by_filters_with_yes_asks_nothing(deployment: Deployment, run: Run) -> None:
    bury_five(deployment)
    ran = discard(run, "--yes", "--reason", "permanent_error", "--json")
    assert (ran.code, ran.objects, ran.err) == (0, [{"discarded": 3}], "")
    assert deployment.dead == {"evt_1", "evt_5"}


@pytest.mark.parametrize("why", [[], ["--why", ""], ["--why", " "]])
def test_discard_needs_a_reason(deployment: Deployment, run: Run, why: list[str]) -> None:
    bury_five(deployment)
    ran = run("discard", "--yes", "evt_1", *why)
    assert ran.code == 2
    assert "--why" in ran.err
    assert len(deployment.dead) == 5


def test_discard_refuses_to_take_all(deployment: Deployment, run: Run) -> None:
    bury_five(deployment)
    ran = discard(run, "--yes")
    assert ran.code == 2
    assert "by a filter" in ran.err
    assert len(deployment.dead) == 5


def test_discard_removes_no_more_than_it_has_asked_about(
    deployment: Deployment, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    bury_five(deployment)

    def meanwhile(question: str, **_: object) -> bool:
        deployment.bury(letter("evt_6", reference="user-1"))
        return True

    monkeypatch.setattr("click.confirm", meanwhile)
    assert discard(run, "--reference", "user-1").out == "2 discarded.\n"
    assert deployment.dead == {"evt_3", "evt_4", "evt_5", "evt_6"}


def test_discarding_nothing_says_so(deployment: Deployment, run: Run) -> None:
    ran = discard(run, "--reference", "nobody")
    assert (ran.code, ran.out) == (0, "No dead letters like that.\n")
    assert discard(run, "--reference", "nobody", "--json").objects == [{"discarded": 0}]


def test_an_interrupted_discard_leaves_the_rest_dead_for_the_next_run(
    deployment: Deployment, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discard_module, "BATCH_SIZE", 2)
    bury_five(deployment)
    real, calls = discard_module.discard, []

    def broken_off(queue: Any, *rest: Any) -> int:
        remove = queue.discard

        def once(ids: list[str]) -> int:
            calls.append(ids)
            if len(calls) == 2:
                raise KeyboardInterrupt
            return int(remove(ids))

        queue.discard = once
        return real(queue, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(dlq_discard, "discard_letters", broken_off)
        ran = discard(run, "--yes", "--older-than", "0s")
    assert (ran.code, ran.err) == (1, "\nAborted!\n")
    assert len(deployment.dead) == 3
    assert discard(run, "--yes", "--older-than", "0s").out == "3 discarded.\n"


def test_a_job_that_is_under_way_is_never_taken_for_a_dead_letter(
    deployment: Deployment, run: Run
) -> None:
    deployment.events.enqueue(new("evt_1"))
    discard(run, "evt_1", "--yes")
    assert place(deployment.redis, "evt_1") == "queued"
