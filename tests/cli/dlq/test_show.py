"""`dlq show`: all of one dead letter."""

from __future__ import annotations

from tests.support.cli import CommandResult, Run
from tests.support.deployment import Deployment, letter


def test_show_prints_all_that_is_known(deployment: Deployment, run: Run) -> None:
    deployment.bury(letter("evt_1", "requires_input", error="document_expired", report="vr_1"))
    shown = dict(line.split(maxsplit=1) for line in run("show", "evt_1").out.splitlines()[:8])
    found = deployment.letters.find("evt_1")
    assert found is not None
    assert shown == {
        "id": "evt_1",
        "reason": "permanent_error",
        "error_class": "Broken",
        "error": "it broke",
        "attempts": "1",
        "first_failed_at": found.first_failed_at,
        "last_failed_at": found.last_failed_at,
        "description": "requires_input vs_user-1",
    }
    for part in ("vs_user-1", "user-1", "document_expired"):
        assert part in run("show", "evt_1").out
    (as_object,) = run("show", "evt_1", "--json").objects
    assert as_object["payload"] == found.payload


def test_show_of_an_id_that_is_not_dead_says_so_in_a_line(deployment: Deployment, run: Run) -> None:
    deployment.events.enqueue(letter("evt_1"))
    assert run("show", "evt_9") == CommandResult(
        1, "", "Error: evt_9 is not among the dead letters of events\n"
    )
    assert run("show", "evt_1").err.endswith("dead letters of events: it is queued\n")


def test_show_tells_where_the_error_came_from(deployment: Deployment, run: Run) -> None:
    deployment.events.enqueue(letter("evt_1"))
    (job,) = deployment.events.claim("token", 60, 1)
    came_from = "KeyError\n  myapp/identity.py:12, in on_reference_changed\n    users[id]"
    told = ("permanent_error", "KeyError", "raised in on_reference_changed")
    assert deployment.events.bury(job, *told, traceback=came_from)
    assert "myapp" not in run("show", "evt_1").out
    assert run("show", "evt_1", "--traceback").out.endswith(
        "traceback\n  KeyError\n    myapp/identity.py:12, in on_reference_changed\n"
        "      users[id]\n"
    )
    (as_object,) = run("show", "evt_1", "--traceback", "--json").objects
    assert as_object["traceback"] == came_from


def test_show_says_that_no_traceback_is_kept(deployment: Deployment, run: Run) -> None:
    deployment.bury(letter("evt_1"))
    assert run("show", "evt_1", "--traceback").out.endswith("traceback        none is kept\n")
