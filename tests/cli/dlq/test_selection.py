"""Which letters are meant: ids, filters, and what is refused."""

from __future__ import annotations

import pytest

from tests.cli.dlq.letters import bury_five
from tests.support.cli import Run
from tests.support.deployment import Deployment


@pytest.mark.parametrize("command", ["replay", "replay --dry-run", "discard --yes --why because"])
def test_ids_and_filters_together_are_refused(
    deployment: Deployment, run: Run, command: str
) -> None:
    bury_five(deployment)
    ran = run(*command.split(), "evt_1", "--reason", "crashed_worker")
    assert ran.code == 2
    assert "not by both" in ran.err
    assert len(deployment.dead) == 5


@pytest.mark.parametrize("command", ["replay", "replay --dry-run", "discard --yes --why because"])
def test_if_an_id_is_unknown_nothing_is_done(
    deployment: Deployment, run: Run, command: str
) -> None:
    bury_five(deployment)
    before = deployment.snapshot()
    ran = run(*command.split(), "evt_1", "evt_9")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "Error: not among the dead letters of events: evt_9\n"
    assert deployment.snapshot() == before


@pytest.mark.parametrize("age", ["1", "1w", "-1h", "1.5h", "h", "soon"])
def test_an_age_that_is_none_is_refused_with_what_to_write(
    deployment: Deployment, run: Run, age: str
) -> None:
    ran = run("list", "--older-than", age)
    assert ran.code == 2
    assert "write 90s, 15m, 2h or 3d" in ran.err


def test_a_reason_that_is_none_is_refused_with_the_four_there_are(
    deployment: Deployment, run: Run
) -> None:
    ran = run("list", "--reason", "bad")
    assert ran.code == 2
    for reason in ("permanent_error", "attempts_exhausted", "timed_out", "crashed_worker"):
        assert reason in ran.err
