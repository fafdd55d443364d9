"""`effects`: what is not done yet, counted and listed."""

from __future__ import annotations

import time

import pytest

from app.local.valkey import Valkey
from tests.support.cli import Run
from tests.support.deployment import Deployment, letter


@pytest.fixture
def environment(deployment: Deployment, valkey: Valkey) -> dict[str, str]:
    """The settings that the command reads."""
    return {"REDIS_URL": valkey.url, "DATABASE_URL": deployment.database_url}


@pytest.fixture
def three(deployment: Deployment) -> Deployment:
    """Three rechecks that wait in the ledger."""
    for n in range(3):
        deployment.apply(letter(f"evt_{n}", "processing", f"user-{n}"))
    deployment.ledger.forget_enqueued()
    return deployment


def test_effects_are_counted_by_state_and_kind_and_listed(three: Deployment, run: Run) -> None:
    three.ledger.mark_enqueued(["evt_1-recheck"], int(time.time()))
    out = run("effects").out
    lines = [line.split() for line in out.splitlines()]
    assert lines[1][:3] == ["waiting", "recheck", "2"]
    assert lines[2][:3] == ["queued", "recheck", "1"]
    assert ("evt_0-recheck" in out, "evt_1-recheck" in out) == (True, False)
    assert "evt_1-recheck" in run("effects", "--state", "queued").out
    assert run("effects", "--state", "dead").out.endswith("None is dead.\n")


def test_pages_follow_each_other(three: Deployment, run: Run) -> None:
    first = run("effects", "--limit", "2", "--json").object
    rest = run("effects", "--limit", "2", "--after", first["next"], "--json").object
    ids = [effect["id"] for page in (first, rest) for effect in page["data"]]
    assert ids == [f"evt_{n}-recheck" for n in range(3)]
    assert rest["next"] is None
    told = run("effects", "--limit", "2").out
    assert told.endswith(f"There are more: --state waiting --after {first['next']}\n")


def test_that_everything_is_done_is_said(deployment: Deployment, run: Run) -> None:
    assert run("effects").out == "Everything is done.\n"
    assert run("effects", "--json").object["counts"] == []


def test_a_place_that_is_none_is_refused(deployment: Deployment, run: Run) -> None:
    ran = run("effects", "--after", "evt_1")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "after is no place in this list: begin with its first page\n"
