"""`dlq … --deferred`: what waits to be tried again, seen and tried now."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import pytest

from app.cli import dlq_replay
from app.operations.dlq.replay import Replay
from tests.cli.dlq.letters import ids_in
from tests.support.cli import Run
from tests.support.deployment import Deployment, letter
from tests.support.events import SENSITIVE
from tests.support.places import counts, field, new, place

HOUR = 3_600


def defer_three(deployment: Deployment) -> None:
    """Two events and an effect that wait."""
    deployment.defer(letter("evt_1", "verified", "user-1"), seconds=3 * HOUR)
    deployment.defer(letter("evt_2", "processing", "user-2"), error_class="Locked", seconds=60)
    effects = deployment.stores.effects
    deployment.defer(new("evt_3-notify"), error_class="Away", seconds=2 * HOUR, queue=effects)


def test_list_counts_by_reason_in_each_queue_and_shows_what_is_next(
    deployment: Deployment, run: Run
) -> None:
    defer_three(deployment)
    ran = run("list", "--deferred")
    assert ran.code == 0
    lines = [re.split(r"\s{2,}", line.strip()) for line in ran.out.splitlines()]
    assert lines[:6] == [
        ["2 of events, for up to 3h:"],
        ["1", "Busy: Busy for now"],
        ["1", "Locked: Locked for now"],
        ["id", "error", "tries", "failing for", "next try", "session", "reference"],
        ["evt_1", "Busy", "1", "3h", "9m", "vs_user-1", "user-1"],
        ["evt_2", "Locked", "1", "1m", "9m", "vs_user-2", "user-2"],
    ]
    assert lines[6] == ["1 of effects, for up to 2h:"]
    assert lines[9][:2] == ["evt_3-notify", "Away"]
    assert "dlq replay --deferred" in ran.out.splitlines()[-1]


def test_lists_json_has_the_counts_of_each_queue_and_its_jobs(
    deployment: Deployment, run: Run
) -> None:
    defer_three(deployment)
    events, first, _, effects, notify = run("list", "--deferred", "--json").objects
    assert 3 * HOUR <= events.pop("oldest_seconds") < 3 * HOUR + 60
    assert events == {
        "queue": "events",
        "total": 2,
        "complete": True,
        "by_reason": {"Busy": 1, "Locked": 1},
    }
    assert (first["queue"], first["id"], first["payload"]["status"]) == (
        "events",
        "evt_1",
        "verified",
    )
    assert (effects["queue"], effects["by_reason"]) == ("effects", {"Away": 1})
    assert (notify["id"], notify["error"]) == ("evt_3-notify", "Away for now")


def test_one_queue_is_listed_where_it_is_named(deployment: Deployment, run: Run) -> None:
    defer_three(deployment)
    out = run("list", "--deferred", "--queue", "effects").out
    assert ("evt_3-notify" in out, ids_in(run("list", "--deferred", "--queue", "events"))) == (
        True,
        ["evt_1", "evt_2"],
    )
    assert "evt_1 " not in out


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ("--reference user-2", "evt_2"),
        ("--status verified", "evt_1"),
        ("--session vs_user-1", "evt_1"),
        ("--older-than 1h", "evt_1"),
        ("--limit 1", "evt_1"),
    ],
)
def test_the_filters_choose_what_is_shown(
    deployment: Deployment, run: Run, filters: str, ids: str
) -> None:
    defer_three(deployment)
    ran = run("list", "--deferred", "--queue", "events", *filters.split())
    assert ids_in(ran) == ids.split()
    assert ran.out.startswith("2 of events")


def test_that_nothing_waits_is_said_in_words(deployment: Deployment, run: Run) -> None:
    deployment.events.enqueue(new("evt_1", delay=60))
    assert run("list", "--deferred").out == "Nothing waits to be tried again.\n"
    assert [one["total"] for one in run("list", "--deferred", "--json").objects] == [0, 0]


@pytest.mark.parametrize("command", ["list", "replay"])
def test_a_reason_of_dead_letters_is_refused(
    deployment: Deployment, run: Run, command: str
) -> None:
    defer_three(deployment)
    ran = run(command, "--deferred", "--reason", "timed_out")
    assert (ran.code, "--reason is for dead letters" in ran.err) == (2, True)


def test_show_tells_why_it_waits_and_until_when(deployment: Deployment, run: Run) -> None:
    defer_three(deployment)
    shown = dict(line.split(maxsplit=1) for line in run("show", "evt_1").out.splitlines()[:8])
    job = deployment.stores.deferred("events").find("evt_1")
    assert job is not None
    assert (shown["error_class"], shown["error"]) == ("Busy", "Busy for now")
    assert (shown["attempts"], shown["next_try_at"]) == ("1", job.next_try_at)
    assert run("show", "evt_3-notify", "--json").object["error_class"] == "Away"


def test_no_personal_datum_is_shown(deployment: Deployment, run: Run) -> None:
    deployment.defer(letter("evt_1", "requires_input", error="selfie_manipulated"))
    for command in ("list --deferred", "list --deferred --json", "show evt_1"):
        out = run(*command.split()).out
        assert "evt_1" in out
        assert SENSITIVE not in out


def test_replay_tries_it_now_and_reports_the_outcome(working: Deployment, run: Run) -> None:
    defer_three(working)
    ran = run("replay", "--deferred", "evt_1")
    assert (ran.code, ran.out) == (0, "1 replayed: 1 applied, 0 unchanged, 0 failed again.\n")
    assert working.standing("user-1")[0] == "verified"
    assert place(working.redis, "evt_2") == "scheduled"


def test_all_that_waits_is_tried_once_though_it_fails_again(
    deployment: Deployment, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.queue.registry.PAGE", 1)
    monkeypatch.setattr("app.operations.dlq.replay.BATCH_SIZE", 1)
    deployment.defer(*(letter(f"evt_{n}", reference=f"user-{n}") for n in range(3)))

    def work(seconds: float) -> None:
        for job in deployment.events.claim("other", 60, 10):
            deployment.events.retry_later(job, 900, "Busy", "still")

    class Slow(Replay):
        def __init__(self, *given: Any, **options: Any) -> None:
            super().__init__(*given, sleep=work, **options)
            self._rate = 1e6  # which has it look at the outcomes after each

    monkeypatch.setattr(dlq_replay, "Replay", Slow)
    ran = run("replay", "--deferred")
    assert ran.code == 0
    assert "3 replayed" in ran.out
    assert "3 are tried again later" in ran.out
    assert {field(deployment.redis, f"evt_{n}", "attempts") for n in range(3)} == {"2"}


def test_effects_that_wait_are_tried_now(
    deployment: Deployment, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    defer_three(deployment)
    effects = deployment.stores.effects
    effects.enqueue(new("evt_4-recheck", delay=60))

    def work(seconds: float) -> None:
        for job in effects.claim("other", 60, 10):
            effects.complete("other", [job.id])

    monkeypatch.setattr(dlq_replay, "Replay", partial(Replay, sleep=work))
    ran = run("replay", "--deferred", "--queue", "effects")
    assert (ran.code, ran.out) == (0, "1 replayed: 1 done, 0 failed again.\n")
    assert counts(effects)["scheduled"] == 1  # what is not due for the first time is left


def test_without_the_option_what_waits_is_left_alone_and_the_option_is_named(
    deployment: Deployment, run: Run
) -> None:
    defer_three(deployment)
    ran = run("replay", "evt_1")
    assert ran.code == 0
    assert "evt_1 is tried again by itself: left alone (--deferred tries it now)" in ran.err
    assert place(deployment.redis, "evt_1") == "scheduled"


def test_what_does_not_wait_is_told_and_left_alone(deployment: Deployment, run: Run) -> None:
    deployment.bury(letter("evt_1"))
    ran = run("replay", "--deferred", "evt_1", "evt_9")
    assert ran.out.startswith("0 replayed")
    assert "evt_1 does not wait to be tried again (failed)" in ran.err
    assert "evt_9 does not wait to be tried again (not in Redis)" in ran.err
    assert deployment.dead == {"evt_1"}


def test_a_dry_run_shows_what_it_would_change(deployment: Deployment, run: Run) -> None:
    defer_three(deployment)
    before = deployment.snapshot()
    ran = run("replay", "--deferred", "--dry-run", "--reference", "user-1")
    assert (ran.code, "1 of 1 reference(s) would change" in ran.out) == (0, True)
    assert deployment.snapshot() == before
