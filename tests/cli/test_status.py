"""`status`: the verdict, the strip and what needs a person, on the command line."""

from __future__ import annotations

import pytest
from redis import Redis

from app.local.valkey import Valkey, free_port
from tests.support.cli import Run
from tests.support.deployment import Deployment, letter
from tests.support.stores import leave_as_later
from tests.support.workers import worker_of


@pytest.fixture
def environment(redis: Redis, valkey: Valkey, database_url: str) -> dict[str, str]:
    """Without Stripe, which it does not ask."""
    return {"REDIS_URL": valkey.url, "DATABASE_URL": database_url}


@pytest.fixture
def _workers(deployment: Deployment) -> None:
    for queue in (deployment.events, deployment.stores.effects):
        worker_of(deployment.redis, deployment.context, queue=queue)


@pytest.mark.usefixtures("_workers")
def test_it_says_in_its_first_line_how_it_is_and_then_where(
    run: Run, deployment: Deployment
) -> None:
    deployment.bury(letter("evt_1", reference="user-1"))
    shown = run("status")
    first, *rest = shown.out.splitlines()
    assert first.startswith("Users are being verified, but a dead letter waits for a person.")
    assert shown.code == 0
    assert any("your system" in line and "nobody is told" in line for line in rest)
    assert any("dlq replay --reason permanent_error" in line for line in rest)


def test_what_is_wrong_has_exit_code_1(run: Run) -> None:
    shown = run("status")
    assert shown.out.startswith("Nobody is verified while no worker runs. No event waits.")
    assert shown.code == 1


def test_json_is_one_object(run: Run, deployment: Deployment) -> None:
    deployment.bury(letter("evt_1"))
    shown = run("status", "--json")
    assert shown.object["verdict"]["kind"] == "bad"
    assert shown.object["needs"][0]["users"] == 1
    assert shown.code == 1


def test_a_store_that_is_away_is_told_and_the_other_is_shown(run: Run) -> None:
    shown = run("status", REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    assert shown.out.startswith("No delivery is taken: Redis is away.")
    assert "answers" in shown.out
    assert shown.code == 1


def test_a_release_that_is_too_old_for_the_ledger_is_one_line_and_exit_code_2(
    run: Run, environment: dict[str, str]
) -> None:
    leave_as_later(environment["DATABASE_URL"])
    shown = run("status")
    assert (shown.code, shown.out, shown.err.count("\n")) == (2, "", 1)
    assert "too old for (revision 9999)" in shown.err
