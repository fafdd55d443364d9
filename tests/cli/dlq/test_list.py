"""`dlq list`: what a person on call sees first."""

from __future__ import annotations

import pytest

from tests.cli.dlq.letters import bury_five, ids_in
from tests.support.cli import Run
from tests.support.deployment import Deployment, letter
from tests.support.events import SENSITIVE


def test_list_counts_by_reason_first_and_then_shows_the_newest_first(
    deployment: Deployment, run: Run
) -> None:
    bury_five(deployment)
    ran = run("list")
    assert ran.code == 0
    assert [line.split() for line in ran.out.splitlines()[:4]] == [
        ["3", "permanent_error"],
        ["1", "crashed_worker"],
        ["1", "timed_out"],
        ["id", "reason", "error", "tries", "age", "session", "reference"],
    ]
    assert ids_in(ran) == ["evt_5", "evt_4", "evt_3", "evt_2", "evt_1"]
    assert ran.out.splitlines()[-1].split() == [
        *("evt_1", "timed_out", "Slow", "1", "4d", "vs_user-1", "user-1")
    ]


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ("--reason timed_out", "evt_1"),
        ("--reason permanent_error", "evt_4 evt_3 evt_2"),
        ("--status verified", "evt_5 evt_3 evt_1"),
        ("--reference user-1", "evt_2 evt_1"),
        ("--session vs_user-2", "evt_3"),
        ("--older-than 3h", "evt_3 evt_2 evt_1"),
        ("--younger-than 150m", "evt_5 evt_4"),
        ("--older-than 2d --younger-than 3d", "evt_2"),
        ("--older-than 60s --status verified", "evt_3 evt_1"),
        ("--reference user-1 --status verified --reason timed_out", "evt_1"),
        ("--reference user-1 --reason crashed_worker", ""),
    ],
)
def test_list_shows_and_counts_what_the_filters_mean(
    deployment: Deployment, run: Run, filters: str, ids: str
) -> None:
    bury_five(deployment)
    ran = run("list", *filters.split())
    assert ids_in(ran) == ids.split()
    counts, *letters = run("list", "--json", *filters.split()).objects
    assert [one["id"] for one in letters] == ids.split()
    assert counts["total"] == sum(counts["by_reason"].values()) == len(ids.split())


def test_list_says_when_there_are_more_than_it_shows(deployment: Deployment, run: Run) -> None:
    bury_five(deployment)
    ran = run("list", "--limit", "2")
    assert ids_in(ran) == ["evt_5", "evt_4"]
    assert "3  permanent_error" in ran.out
    assert ran.out.endswith("The newest 2 of 5.\n")
    assert ids_in(run("list", "--limit", "0")) == []


def test_lists_json_is_one_object_a_line_with_the_counts_first(
    deployment: Deployment, run: Run
) -> None:
    bury_five(deployment)
    counts, newest, *_ = run("list", "--json").objects
    reasons = {"permanent_error": 3, "crashed_worker": 1, "timed_out": 1}
    assert counts == {"total": 5, "complete": True, "by_reason": reasons}
    assert (newest["id"], newest["payload"]["status"]) == ("evt_5", "verified")
    assert len(run("list", "--json", "--limit", "1").objects) == 2


def test_effects_have_dead_letters_of_their_own(deployment: Deployment, run: Run) -> None:
    id = deployment.bury_effect()
    assert run("list").out == (
        "No dead letters.\n1 dead letter(s) of effects: add --queue effects.\n"
    )
    assert id in run("list", "--queue", "effects").out
    assert run("list", "--queue", "events").out == "No dead letters.\n"


def test_no_dead_letters_is_said_in_words(deployment: Deployment, run: Run) -> None:
    assert run("list").out == "No dead letters.\n"
    assert run("list", "--json").objects == [{"total": 0, "complete": True, "by_reason": {}}]
    bury_five(deployment)
    assert run("list", "--reference", "nobody").out == "No dead letters like that.\n"


def test_an_id_stays_on_its_line_however_long_the_rest_is(deployment: Deployment, run: Run) -> None:
    id = "evt_" + "1AbCdEfGh" * 5
    deployment.bury(letter(id, reference="user-" + "9" * 200))
    (row,) = [line for line in run("list").out.splitlines() if id in line]
    assert "vs_user-" in row


@pytest.mark.parametrize("reference", ["[/red]", "[red]user", "[link=https://x]", ":smile:"])
def test_a_reference_is_shown_as_it_is(deployment: Deployment, run: Run, reference: str) -> None:
    deployment.bury(letter("evt_1", reference=reference, session="vs_1"))
    for command in (["list"], ["show", "evt_1"], ["replay", "--dry-run"]):
        ran = run(*command)
        assert (ran.code, reference in ran.out) == (0, True)


def test_a_reference_cannot_steer_the_terminal(deployment: Deployment, run: Run) -> None:
    deployment.bury(letter("evt_1", reference="user\x1b[2J\r\nevt_9 all is well", session="vs_1"))
    for command in (["list"], ["show", "evt_1"], ["replay", "--dry-run"]):
        out = run(*command).out
        assert "\x1b" not in out
        assert "\r" not in out
        assert not any(line.startswith("evt_9") for line in out.splitlines())


def test_letters_that_other_tools_or_versions_left_are_listed(
    deployment: Deployment, run: Run
) -> None:
    deployment.bury(letter("evt_1"), letter("evt_2"))
    deployment.redis.hset("rq:job:evt_1", "data", b"\x80")
    deployment.redis.hdel("rq:job:evt_2", "reason", "error_class", "last_failed_at")
    assert ids_in(run("list")) == ["evt_2", "evt_1"]
    assert ids_in(run("list", "--reason", "permanent_error")) == ["evt_2", "evt_1"]
    assert run("show", "evt_1").code == run("show", "evt_2").code == 0


def test_no_secret_and_no_personal_datum_is_shown(deployment: Deployment, run: Run) -> None:
    deployment.bury(letter("evt_1", "requires_input", error="selfie_manipulated"))
    for command in ("list", "list --json", "show evt_1", "show evt_1 --json"):
        out = run(*command.split()).out
        assert "evt_1" in out
        assert SENSITIVE not in out
