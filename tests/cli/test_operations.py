"""`operations`: started as previewed, listed, shown, stopped; and in the audit."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import partial

import pytest

from app.cli.who import user_name
from app.ledger.operations import Operation
from app.local.valkey import Valkey
from tests.cli.dlq.letters import bury_five
from tests.operations.bulk.starting import started
from tests.support.cli import CommandResult, Run
from tests.support.deployment import Deployment, letter
from tests.support.workers import NOW


@pytest.fixture
def environment(deployment: Deployment, valkey: Valkey) -> dict[str, str]:
    """The settings that the commands read."""
    return {"REDIS_URL": valkey.url, "DATABASE_URL": deployment.database_url}


@pytest.fixture
def run(run: Run) -> Run:
    """Runs `identity operations` with these settings."""
    return partial(run, "operations")


def start(run: Run, *arguments: str, typed: str = "") -> CommandResult:
    return run("start", *arguments, "--why", "the ledger is back", typed=typed)


@pytest.fixture
def rows(deployment: Deployment) -> Callable[[], list[Operation]]:
    """The operations there are, the newest first."""
    return deployment.stores.operations.page


Rows = Callable[[], list[Operation]]


def test_it_shows_what_would_change_and_asks(deployment: Deployment, run: Run, rows: Rows) -> None:
    bury_five(deployment)
    ran = start(run, "replay", typed="n\n")
    assert ran.code == 1
    assert "user-2" in ran.out
    assert "replay of 5 dead letter(s), 4 user(s) hit." in ran.out
    assert "Replay 5 dead letter(s) of 4 user(s)?" in ran.err
    assert rows() == []
    assert len(deployment.dead) == 5


def test_a_yes_starts_it_for_the_workers(deployment: Deployment, run: Run, rows: Rows) -> None:
    bury_five(deployment)
    ran = start(run, "replay", "--reason", "permanent_error", "--rate", "50", typed="y\n")
    (operation,) = rows()
    assert ran.code == 0
    assert f"{operation.id} is started: replay of 3 dead letter(s)." in ran.out
    assert (operation.kind, operation.selection) == ("replay", {"reason": "permanent_error"})
    assert (operation.total, operation.rate, operation.state) == (3, 50.0, "running")
    assert (operation.reason, operation.via) == ("the ledger is back", "cli")
    assert operation.who == user_name()
    assert len(deployment.dead) == 5


def test_with_yes_and_json_it_asks_nothing_and_prints_the_operation(
    deployment: Deployment, run: Run, rows: Rows
) -> None:
    bury_five(deployment)
    ran = start(run, "discard", "evt_1", "evt_2", "--yes", "--json")
    assert (ran.code, ran.err) == (0, "")
    assert ran.object == rows()[0].as_json()
    assert ran.object["selection"] == {"ids": ["evt_1", "evt_2"]}


def test_a_discard_says_that_it_gives_up_what_it_shows(deployment: Deployment, run: Run) -> None:
    bury_five(deployment)
    ran = start(run, "discard", "--reference", "user-2", typed="n\n")
    assert "gives them up for good" in ran.out


def test_a_dry_run_starts_nothing_and_its_digest_starts_just_that(
    deployment: Deployment, run: Run, rows: Rows
) -> None:
    bury_five(deployment)
    shown = run("start", "replay", "--dry-run", "--json").object
    assert (shown["total"], shown["users"]) == (5, 4)
    assert "Nothing was started." in run("start", "replay", "--dry-run").out
    assert rows() == []
    assert start(run, "replay", "--yes", "--digest", shown["digest"]).code == 0
    deployment.bury(letter("evt_6", reference="user-6"))
    assert start(run, "replay", "--yes", "--digest", shown["digest"]).code == 1
    assert len(rows()) == 1


def test_letters_that_came_meanwhile_are_told_and_nothing_is_started(
    deployment: Deployment, run: Run, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    bury_five(deployment)

    def meanwhile(question: str, **_: object) -> bool:
        deployment.bury(letter("evt_6", reference="user-6"))
        deployment.events.discard(["evt_1"])
        return True

    with monkeypatch.context() as patch:
        patch.setattr("click.confirm", meanwhile)
        ran = start(run, "replay")
    assert ran.code == 1
    assert "1 new, 1 gone" in ran.err
    assert "new: user-6" in ran.err
    digest = re.findall(r"New digest: (\S+)", ran.err)[0]
    assert rows() == []
    assert start(run, "replay", "--yes", "--digest", digest).code == 0


def test_the_difference_is_json_too(deployment: Deployment, run: Run) -> None:
    bury_five(deployment)
    digest = run("start", "replay", "--dry-run", "--json").object["digest"]
    deployment.bury(letter("evt_6", reference="user-6"))
    told = start(run, "replay", "--yes", "--json", "--digest", digest).object
    assert (told["error"], told["new"], told["gone"]) == ("set_changed", 1, 0)
    assert (told["users"], told["preview"]["total"]) == (["user-6"], 6)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["replay"], "--why"),
        (["replay", "--why", " "], "--why"),
        (["discard", "--why", "x"], "by a filter"),
        (["replay", "evt_1", "--status", "verified", "--why", "x"], "not by both"),
        (["replay", "--rate", "0", "--why", "x"], "--rate"),
        (["retry", "--why", "x"], "replay"),
    ],
)
def test_a_wrong_call_is_told_and_starts_nothing(
    deployment: Deployment, run: Run, rows: Rows, arguments: list[str], named: str
) -> None:
    bury_five(deployment)
    ran = run("start", "--yes", *arguments)
    assert ran.code == 2
    assert named in ran.err
    assert rows() == []


def test_where_nothing_is_dead_nothing_is_started(run: Run, rows: Rows) -> None:
    ran = start(run, "replay")
    assert (ran.code, ran.err) == (1, "there are no dead letters like that\n")
    assert rows() == []


def test_the_list_has_the_newest_first_and_goes_on_by_id(deployment: Deployment, run: Run) -> None:
    assert run("list").out == "No operations.\n"
    deployment.bury(letter("evt_1"))
    ids = [started(deployment, now=NOW + n).id for n in range(3)]
    first = run("list", "--limit", "2")
    assert re.findall(r"^ *(op_\w+) .*", first.out, re.MULTILINE) == [ids[2], ids[1]]
    assert f"--before {ids[1]}" in first.out
    rest = run("list", "--before", ids[1], "--json").object
    assert ([one["id"] for one in rest["data"]], rest["has_more"]) == ([ids[0]], False)


def test_one_is_shown_in_full(deployment: Deployment, run: Run) -> None:
    deployment.bury(letter("evt_1"))
    operation = started(deployment, reason="a [reason]", rate=2.0)
    shown = run("show", operation.id)
    assert shown.code == 0
    assert {"a [reason]", "2 letters a second"} <= set(re.split(r"(?:  +|\n)", shown.out))
    assert run("show", operation.id, "--json").object == operation.as_json()
    assert run("show", "op_9").err == "Error: there is no operation op_9\n"


def test_follow_goes_on_until_it_is_over(
    deployment: Deployment, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment.bury(letter("evt_1"))
    operation = started(deployment)
    operations = deployment.stores.operations
    done = iter([0, 1])

    def pass_by(seconds: float) -> None:
        operations.claim("a", int(NOW))
        number = next(done)
        over = {"state": "failed", "note": "broken", "ended_at": int(NOW)} if number else {}
        operations.change(operation.id, "a", int(NOW), done=number, lease_until=0, **over)

    monkeypatch.setattr("app.cli.operations.time.sleep", pass_by)
    ran = run("show", operation.id, "--follow", "--json")
    assert [line["state"] for line in ran.objects] == ["running", "running", "failed"]
    assert ran.code == 1


def test_stop_asks_whoever_carries_it_out(deployment: Deployment, run: Run) -> None:
    deployment.bury(letter("evt_1"))
    operation = started(deployment)
    deployment.stores.operations.claim("a", int(time.time()))
    told = f"{operation.id} is stopping: 0 of 1 are done so far.\n"
    assert run("stop", operation.id).out == told
    assert run("stop", operation.id, "--json").object["state"] == "stopping"


def test_what_nobody_carries_out_is_stopped_at_once(deployment: Deployment, run: Run) -> None:
    deployment.bury(letter("evt_1"))
    operation = started(deployment)
    assert run("stop", operation.id).out == f"{operation.id} is stopped: 0 of 1 are done.\n"
    assert run("stop", operation.id) == (1, "", f"{operation.id} is over: stopped\n")
    assert run("stop", "op_9") == (1, "", "there is no operation op_9\n")


def test_each_start_and_stop_and_each_refusal_is_in_the_audit(
    deployment: Deployment, run: Run, rows: Rows
) -> None:
    bury_five(deployment)
    start(run, "replay", "--reason", "timed_out", "--yes")
    (operation,) = rows()
    run("stop", operation.id)
    start(run, "replay", "--yes", "--digest", operation.pinned)
    run("stop", "op_9")
    entries = deployment.stores.audit.page(None, 10)[::-1]
    assert [(entry.action, entry.result) for entry in entries] == [
        ("start_operation", "done"),
        ("stop_operation", "done"),
        ("start_operation", "refused: Rejected"),
        ("stop_operation", "refused: Rejected"),
    ]
    assert entries[0].reason == "the ledger is back"
    assert entries[0].target == {
        "operation": operation.id,
        "kind": "replay",
        "queue": "events",
        "died_of": "timed_out",
    }
