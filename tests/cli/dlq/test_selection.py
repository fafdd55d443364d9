"""Which letters are meant: ids, filters, and what is refused."""

from __future__ import annotations

import pytest

from app.domain.effects import PendingEffect
from app.domain.standing import ReferenceKey
from app.queue.model import effect_job
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


def test_a_notification_that_died_is_found_by_the_reference_that_it_does_not_name(
    deployment: Deployment, run: Run
) -> None:
    keys = [ReferenceKey("", False, reference).digest for reference in ("user-1", "user-2")]
    told = [PendingEffect(f"evt_{key[:4]}", "notify", "", False, "vs_1", key, 1, 0) for key in keys]
    deployment.bury(*(effect_job(one, 0) for one in told), queue=deployment.stores.effects)
    ran = run("list", "--queue", "effects", "--reference", "user-1", "--json")
    _, *letters = ran.objects
    assert [one["id"] for one in letters] == [told[0].id]
    assert "user-1" not in str(letters)
