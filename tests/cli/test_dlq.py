"""`dlq`: what a person on call sees, and what it does; on real stores."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from app.cli import dlq
from app.cli.local.valkey import Valkey, free_port
from app.cli.main import main
from app.domain.errors import QueueUnavailable
from app.operations import discard as discarding
from app.operations import replay as replaying
from app.web.references import as_json
from tests.domain.builders import SENSITIVE
from tests.operations.letters import House, letter, migrated_file, opened_house
from tests.queue.places import new, place, queued
from tests.sandbox.processes import eventually

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger without rows, to copy."""
    return migrated_file(tmp_path_factory.mktemp("dlq"))


@pytest.fixture
def house(redis: Redis, valkey: Valkey, migrated: Path, tmp_path: Path) -> Iterator[House]:
    """An empty queue and an empty ledger."""
    with opened_house(valkey.url, migrated, tmp_path) as house:
        yield house


@dataclass(frozen=True)
class Ran:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def ids(self) -> list[str]:
        """The letters it named on its standard output, in their order."""
        return re.findall(r"evt_\w+", self.out)

    @property
    def objects(self) -> list[dict[str, Any]]:
        """Its standard output where that is JSON, one object a line."""
        return [json.loads(line) for line in self.out.splitlines()]


Run = Callable[..., Ran]


@pytest.fixture
def environment(house: House, valkey: Valkey) -> dict[str, str]:
    """The settings that the commands read; a test may change them."""
    return {"REDIS_URL": valkey.url, "DATABASE_URL": house.database_url}


@pytest.fixture
def run(
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Runs `dlq` with arguments and what is typed meanwhile."""

    def call(*arguments: str, typed: str = "") -> Ran:
        for name in [name for name in os.environ if name not in ("PATH", "HOME")]:
            monkeypatch.delenv(name)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        # Logging is the process', and what it would write to ends with the test.
        monkeypatch.setattr("app.cli.main.configure", lambda *_: None, raising=False)
        monkeypatch.setattr(sys, "argv", ["identity", "dlq", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        assert isinstance(code, int)
        return Ran(code, *capsys.readouterr())

    return call


@pytest.fixture
def working(house: House, monkeypatch: pytest.MonkeyPatch) -> House:
    """Replay is called while a worker works; it would otherwise wait for one."""
    worker = house.worker()
    monkeypatch.setattr(dlq, "Replay", partial(replaying.Replay, sleep=lambda _: worker.run_once()))
    return house


def some(house: House) -> None:
    """Dead letters of several kinds: their ids end with their numbers, oldest first."""
    house.bury(letter("evt_1", "verified", "user-1"), reason="timed_out", error_class="Slow")
    house.bury(letter("evt_2", "processing", "user-1"))
    house.bury(letter("evt_3", "verified", "user-2"), letter("evt_4", "canceled", "user-3"))
    house.bury(
        letter("evt_5", "verified", None, session="vs_5"),
        reason="crashed_worker",
        error_class="Lost",
    )
    for number, hours in enumerate((100, 50, 3, 2, 0), start=1):
        house.age(f"evt_{number}", hours=hours)


# --- list -----------------------------------------------------------------------------------


def test_list_counts_by_reason_first_and_then_shows_the_newest_first(
    house: House, run: Run
) -> None:
    some(house)
    ran = run("list")
    assert ran.code == 0
    assert [line.split() for line in ran.out.splitlines()[:4]] == [
        ["3", "permanent_error"],
        ["1", "crashed_worker"],
        ["1", "timed_out"],
        ["id", "reason", "error", "tries", "age", "session", "reference"],
    ]
    assert ran.ids == ["evt_5", "evt_4", "evt_3", "evt_2", "evt_1"]
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
    house: House, run: Run, filters: str, ids: str
) -> None:
    some(house)
    ran = run("list", *filters.split())
    assert ran.ids == ids.split()
    counts, *letters = run("list", "--json", *filters.split()).objects
    assert [one["id"] for one in letters] == ids.split()
    assert counts["total"] == sum(counts["by_reason"].values()) == len(ids.split())


def test_list_says_when_there_are_more_than_it_shows(house: House, run: Run) -> None:
    some(house)
    ran = run("list", "--limit", "2")
    assert ran.ids == ["evt_5", "evt_4"]
    assert "3  permanent_error" in ran.out
    assert ran.out.endswith("The newest 2 of 5.\n")
    assert run("list", "--limit", "0").ids == []


def test_lists_json_is_one_object_a_line_with_the_counts_first(house: House, run: Run) -> None:
    some(house)
    counts, newest, *_ = run("list", "--json").objects
    reasons = {"permanent_error": 3, "crashed_worker": 1, "timed_out": 1}
    assert counts == {"total": 5, "by_reason": reasons}
    assert (newest["id"], newest["payload"]["status"]) == ("evt_5", "verified")
    assert len(run("list", "--json", "--limit", "1").objects) == 2


def test_effects_have_dead_letters_of_their_own(house: House, run: Run) -> None:
    id = house.bury_effect()
    assert run("list").out == "No dead letters.\n"
    assert id in run("list", "--queue", "effects").out
    assert run("show", id).code == 1
    assert "check_back" in run("show", id, "--queue", "effects").out


def test_no_dead_letters_is_said_in_words(house: House, run: Run) -> None:
    assert run("list").out == "No dead letters.\n"
    assert run("list", "--json").objects == [{"total": 0, "by_reason": {}}]
    some(house)
    assert run("list", "--reference", "nobody").out == "No dead letters like that.\n"


def test_an_id_stays_on_its_line_however_long_the_rest_is(house: House, run: Run) -> None:
    id = "evt_" + "1AbCdEfGh" * 5
    house.bury(letter(id, reference="user-" + "9" * 200))
    (row,) = [line for line in run("list").out.splitlines() if id in line]
    assert "vs_user-" in row


@pytest.mark.parametrize("reference", ["[/red]", "[red]user", "[link=https://x]", ":smile:"])
def test_a_reference_is_shown_as_it_is(house: House, run: Run, reference: str) -> None:
    house.bury(letter("evt_1", reference=reference, session="vs_1"))
    for command in (["list"], ["show", "evt_1"], ["replay", "--dry-run"]):
        ran = run(*command)
        assert (ran.code, reference in ran.out) == (0, True)


def test_a_reference_cannot_steer_the_terminal(house: House, run: Run) -> None:
    house.bury(letter("evt_1", reference="user\x1b[2J\r\nevt_9 all is well", session="vs_1"))
    for command in (["list"], ["show", "evt_1"], ["replay", "--dry-run"]):
        out = run(*command).out
        assert "\x1b" not in out
        assert "\r" not in out
        assert not any(line.startswith("evt_9") for line in out.splitlines())


def test_letters_that_other_tools_or_versions_left_are_listed(house: House, run: Run) -> None:
    house.bury(letter("evt_1"), letter("evt_2"))
    house.redis.hset("rq:job:evt_1", "data", b"\x80")
    house.redis.hdel("rq:job:evt_2", "reason", "error_class", "last_failed_at")
    assert run("list").ids == ["evt_2", "evt_1"]
    assert run("list", "--reason", "permanent_error").ids == ["evt_2", "evt_1"]
    assert run("show", "evt_1").code == run("show", "evt_2").code == 0


def test_no_secret_and_no_personal_datum_is_shown(house: House, run: Run) -> None:
    house.bury(letter("evt_1", "requires_input", error="selfie_manipulated"))
    for command in ("list", "list --json", "show evt_1", "show evt_1 --json"):
        out = run(*command.split()).out
        assert "evt_1" in out
        assert SENSITIVE not in out


# --- show -----------------------------------------------------------------------------------


def test_show_tells_all_that_is_known(house: House, run: Run) -> None:
    house.bury(letter("evt_1", "requires_input", error="document_expired", report="vr_1"))
    shown = dict(line.split(maxsplit=1) for line in run("show", "evt_1").out.splitlines()[:8])
    found = house.letters.find("evt_1")
    assert found is not None
    assert shown == {
        "id": "evt_1",
        "reason": "permanent_error",
        "error_class": "Broken",
        "error": "it broke",
        "attempts": "1",
        "first_failed_at": found.first_failed_at,
        "last_failed_at": found.last_failed_at,
        "description": "identity.verification_session.requires_input vs_user-1",
    }
    for part in ("vs_user-1", "user-1", "document_expired", "vr_1"):
        assert part in run("show", "evt_1").out
    (as_object,) = run("show", "evt_1", "--json").objects
    assert as_object["payload"] == found.payload


def test_show_of_an_id_that_is_not_dead_says_so_in_a_line(house: House, run: Run) -> None:
    house.events.accept(letter("evt_1"))
    assert run("show", "evt_9") == Ran(
        1, "", "Error: evt_9 is not among the dead letters of events\n"
    )
    assert run("show", "evt_1").err.endswith("dead letters of events: it is queued\n")


# --- replay ---------------------------------------------------------------------------------


def test_replay_by_ids_puts_back_those_alone(working: House, run: Run) -> None:
    some(working)
    ran = run("replay", "evt_1", "evt_3", "evt_1")
    assert ran.code == 0
    assert ran.out == "2 replayed: 2 applied, 0 unchanged, 0 failed again.\n"
    assert working.dead == {"evt_2", "evt_4", "evt_5"}


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        ("", ""),
        ("--reason permanent_error", "evt_1 evt_5"),
        ("--status verified --older-than 1h", "evt_2 evt_4 evt_5"),
        ("--reference user-1 --younger-than 3d", "evt_1 evt_3 evt_4 evt_5"),
    ],
)
def test_replay_by_filters_puts_back_what_they_mean(
    working: House, run: Run, filters: str, left: str
) -> None:
    some(working)
    assert run("replay", *filters.split()).code == 0
    assert working.dead == set(left.split())


@pytest.mark.parametrize("command", ["replay", "replay --dry-run", "discard --yes --why because"])
def test_ids_and_filters_together_are_refused(house: House, run: Run, command: str) -> None:
    some(house)
    ran = run(*command.split(), "evt_1", "--reason", "crashed_worker")
    assert ran.code == 2
    assert "not by both" in ran.err
    assert len(house.dead) == 5


@pytest.mark.parametrize("command", ["replay", "replay --dry-run", "discard --yes --why because"])
def test_where_an_id_was_never_heard_of_nothing_is_done(
    house: House, run: Run, command: str
) -> None:
    some(house)
    before = house.snapshot()
    ran = run(*command.split(), "evt_1", "evt_9")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "Error: not among the dead letters of events: evt_9\n"
    assert house.snapshot() == before


def test_replay_tells_applied_unchanged_and_failed_again_and_exits_with_1_for_the_last(
    working: House, run: Run
) -> None:
    working.apply(letter("evt_0", "verified", "old", at=90))
    working.bury(
        letter("evt_1", "verified", "a"),
        letter("evt_2", "processing", "old", at=10),
        replace(letter("evt_3"), payload={"of": "another version"}),
    )
    ran = run("replay", "--json")
    assert ran.code == 1
    assert ran.objects == [
        {
            "replayed": 3,
            "applied": 1,
            "unchanged": 1,
            "failed_again": 1,
            "deferred": 0,
            "waiting": 0,
            "stalled": False,
        }
    ]
    # A newer standing stays.
    assert working.standing("old") == ("verified", 1)


def test_a_replay_made_twice_replays_nothing_twice(working: House, run: Run) -> None:
    some(working)
    run("replay", "evt_1")
    again = run("replay", "evt_1", "evt_2")
    assert again.code == 0
    assert "evt_1 is dead no more (finished): left alone" in again.err
    assert again.out.startswith("1 replayed: ")
    run("replay")
    assert run("replay").out == "0 replayed: 0 applied, 0 unchanged, 0 failed again.\n"
    assert working.ledger.count_events() == 5


def test_an_id_whose_job_is_forgotten_is_known_by_the_ledger(working: House, run: Run) -> None:
    working.apply(letter("evt_1"))
    ran = run("replay", "evt_1")
    assert ran.code == 0
    assert "evt_1 is dead no more (applied): left alone" in ran.err


def test_without_a_worker_replay_says_so_and_exits_with_1(
    house: House, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "STALLED", 0.1)
    some(house)
    ran = run("replay")
    assert ran.code == 1
    assert "does a worker run (`python -m workers`)?" in ran.err
    assert ran.out == "5 replayed: 0 applied, 0 unchanged, 0 failed again, 5 still waiting.\n"


def test_replaying_effects_tells_what_is_done(
    house: House, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.bury_effect()
    effects = house.context.effects

    def work(seconds: float) -> None:
        for job in effects.claim("other", 60, 10):
            effects.settle("other", [job.id])

    monkeypatch.setattr(dlq, "Replay", partial(replaying.Replay, sleep=work))
    ran = run("replay", "--queue", "effects")
    assert (ran.code, ran.out) == (0, "1 replayed: 1 done, 0 failed again.\n")


@pytest.mark.parametrize("rate", ["0", "-1", "fast"])
def test_a_rate_that_is_none_is_refused(house: House, run: Run, rate: str) -> None:
    assert run("replay", "--rate", rate).code == 2


def test_redis_going_away_in_the_middle_is_told_in_a_line(
    house: House, run: Run, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    some(house)

    def away(seconds: float) -> None:
        raise QueueUnavailable("Redis cannot be reached (ConnectionError)")

    monkeypatch.setattr(dlq, "Replay", partial(replaying.Replay, sleep=away))
    ran = run("replay")
    assert ran.code == 1
    assert "(ConnectionError). 5 put back; run it again for the rest." in ran.err


# --- replay, with real processes ------------------------------------------------------------


def identity(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    """The command line, as a person starts it."""
    return subprocess.Popen(
        [sys.executable, "-m", "app", "dlq", *arguments],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_with_real_workers_the_summary_is_right_and_progress_is_on_stderr(
    house: House, environment: dict[str, str], tmp_path: Path
) -> None:
    house.apply(letter("evt_0", "verified", "old", at=90))
    house.bury(
        *(letter(f"evt_a{n}", reference=f"a{n}") for n in range(4)),
        *(letter(f"evt_b{n}", "processing", "old", at=n) for n in range(3)),
        *(replace(letter(f"evt_c{n}"), payload={"of": "another version"}) for n in range(2)),
    )
    with (
        (tmp_path / "workers.log").open("wb") as log,
        subprocess.Popen(
            [sys.executable, "-m", "workers"],
            cwd=ROOT,
            env={"PATH": "/usr/bin:/bin", "EVENT_WORKERS": "1", **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        ) as workers,
    ):
        try:
            out, err = identity(environment, "replay").communicate(timeout=60)
        finally:
            workers.terminate()
            workers.wait(30)
    assert out == "9 replayed: 4 applied, 3 unchanged, 2 failed again.\n"
    assert "9 ended of 9 put back" in err
    assert house.dead == {"evt_c0", "evt_c1"}


def test_ctrl_c_in_the_middle_loses_nothing_and_the_next_run_takes_the_rest(
    house: House, environment: dict[str, str], working: House, run: Run
) -> None:
    house.bury(*(letter(f"evt_{n}", reference=f"user-{n}") for n in range(40)))
    with identity(environment, "replay", "--rate", "10") as process:
        try:
            eventually(lambda: len(queued(house.redis)) >= 10, 60)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    put_back = len(queued(house.redis))
    assert process.returncode == 1
    assert "Broken off: what was put back goes on." in err
    assert "Traceback" not in err
    assert f"{put_back} still waiting." in out
    assert 10 <= put_back == 40 - len(house.dead) < 40
    assert len(queued(house.redis)) == len(set(queued(house.redis)))
    assert f"{40 - put_back} replayed: {40 - put_back} applied" in run("replay").out
    assert house.ledger.count_events() == 40
    assert {house.standing(f"user-{n}") for n in range(40)} == {("verified", 1)}


# --- replay --dry-run -----------------------------------------------------------------------


def rows(ran: Ran) -> dict[str, list[str]]:
    """The table's rows by their first column, their cells parted by two spaces or more."""
    found = [re.split(r"\s{2,}", line.strip()) for line in ran.out.splitlines()[1:-1]]
    return {first: rest for first, *rest in found}


def test_a_dry_run_shows_what_would_change_by_reference_and_does_nothing(
    house: House, run: Run
) -> None:
    house.apply(letter("evt_0", "processing", "a"), letter("evt_9", "verified", "c", at=90))
    house.bury(
        letter("evt_1", "verified", "a", at=5),
        letter("evt_2", "requires_input", "b", error="document_expired"),
        letter("evt_3", "processing", "b", at=-5),
        letter("evt_4", "processing", "c", at=10),
        letter("evt_9", "verified", "c", at=90),
        letter("evt_5", "verified", None),
    )
    before = house.snapshot()
    ran = run("replay", "--dry-run")
    assert house.snapshot() == before
    assert ran.code == 0
    assert rows(ran) == {
        "a": ["test", "1", "processing, wait", "verified", "changes"],
        "b": ["test", "2", "-", "requires_input, use_another_document, 1 failed", "changes"],
        "c": ["test", "2", "verified", "verified"],
        "(no reference)": ["test", "1", "-", "-"],
    }
    assert ran.out.endswith("2 of 3 reference(s) would change. Nothing was done.\n")


def test_a_dry_runs_json_has_both_standings(house: House, run: Run) -> None:
    house.apply(letter("evt_0", "processing", "a"))
    house.bury(letter("evt_1", "verified", "a", at=5))
    (found,) = run("replay", "--dry-run", "--json").objects
    assert (found["reference"], found["letters"], found["changes"]) == ("a", 1, True)
    assert (found["before"]["status"], found["after"]["status"]) == ("processing", "verified")


def test_a_dry_run_says_how_many_letters_no_version_can_read(house: House, run: Run) -> None:
    house.bury(letter("evt_1"), replace(letter("evt_2"), payload={"of": "another version"}))
    ran = run("replay", "--dry-run")
    assert rows(ran)["user-1"][1] == "1"
    assert ran.err.startswith("1 letter(s) no version can read")


def test_a_dry_run_of_some_is_of_those_alone(house: House, run: Run) -> None:
    some(house)
    assert set(rows(run("replay", "--dry-run", "--reference", "user-2"))) == {"user-2"}
    assert set(rows(run("replay", "--dry-run", "evt_1", "evt_4"))) == {"user-1", "user-3"}


def test_a_dry_run_of_nothing_says_so(house: House, run: Run) -> None:
    assert run("replay", "--dry-run").out.startswith("0 of 0 reference(s) would change.")


def test_effects_change_no_standing_so_there_is_no_dry_run_of_them(house: House, run: Run) -> None:
    ran = run("replay", "--dry-run", "--queue", "effects")
    assert ran.code == 2
    assert "--dry-run is for events" in ran.err


# --- discard --------------------------------------------------------------------------------


def discard(run: Run, *arguments: str, typed: str = "") -> Ran:
    return run("discard", "--why", "sent by a test of ours", *arguments, typed=typed)


@pytest.mark.parametrize("typed", ["", "\n", "n\n", "no\n"])
def test_discard_asks_and_without_a_yes_does_nothing(house: House, run: Run, typed: str) -> None:
    some(house)
    before = house.snapshot()
    ran = discard(run, "--reference", "user-1", typed=typed)
    assert ran.code == 1
    assert "Discard 2 dead letter(s) for good?" in ran.err
    assert "Aborted" in ran.err
    assert house.snapshot() == before


def test_what_is_discarded_is_gone_and_the_timeline_says_why(house: House, run: Run) -> None:
    house.apply(letter("evt_0", "verified", "user-1"))
    some(house)
    ran = discard(run, "evt_1", "evt_2", typed="y\n")
    assert (ran.code, ran.out) == (0, "2 discarded.\n")
    assert house.dead == {"evt_3", "evt_4", "evt_5"}
    told = as_json(house.record("user-1"))
    assert [line["cause"] for line in told["timeline"]] == ["verified", "discarded", "discarded"]
    assert {line["event_id"] for line in told["timeline"][1:]} == {"evt_1", "evt_2"}
    assert told["timeline"][-1]["note"] == "sent by a test of ours"
    assert told["standing"]["status"] == "verified"


def test_discard_by_filters_with_yes_asks_nothing(house: House, run: Run) -> None:
    some(house)
    ran = discard(run, "--yes", "--reason", "permanent_error", "--json")
    assert (ran.code, ran.objects, ran.err) == (0, [{"discarded": 3}], "")
    assert house.dead == {"evt_1", "evt_5"}


@pytest.mark.parametrize("why", [[], ["--why", ""], ["--why", " "]])
def test_discard_needs_a_reason(house: House, run: Run, why: list[str]) -> None:
    some(house)
    ran = run("discard", "--yes", "evt_1", *why)
    assert ran.code == 2
    assert "--why" in ran.err
    assert len(house.dead) == 5


def test_discard_refuses_to_take_all(house: House, run: Run) -> None:
    some(house)
    ran = discard(run, "--yes")
    assert ran.code == 2
    assert "by a filter" in ran.err
    assert len(house.dead) == 5


def test_discard_removes_no_more_than_it_has_asked_about(
    house: House, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    some(house)

    def meanwhile(question: str, **_: object) -> bool:
        house.bury(letter("evt_6", reference="user-1"))
        return True

    monkeypatch.setattr("click.confirm", meanwhile)
    assert discard(run, "--reference", "user-1").out == "2 discarded.\n"
    assert house.dead == {"evt_3", "evt_4", "evt_5", "evt_6"}


def test_discarding_nothing_says_so(house: House, run: Run) -> None:
    ran = discard(run, "--reference", "nobody")
    assert (ran.code, ran.out) == (0, "No dead letters like that.\n")
    assert discard(run, "--reference", "nobody", "--json").objects == [{"discarded": 0}]


def test_discard_broken_off_leaves_the_rest_dead_for_the_next_run(
    house: House, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discarding, "AT_ONCE", 2)
    some(house)
    real, calls = dlq.discard_letters, []

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
        patched.setattr(dlq, "discard_letters", broken_off)
        ran = discard(run, "--yes", "--older-than", "0s")
    assert (ran.code, ran.err) == (1, "\nAborted!\n")
    assert len(house.dead) == 3
    assert discard(run, "--yes", "--older-than", "0s").out == "3 discarded.\n"


# --- what goes wrong ------------------------------------------------------------------------

COMMANDS = [
    "list",
    "list --json",
    "show evt_1",
    "replay",
    "replay evt_1",
    "replay --dry-run",
    "discard evt_1 --why because --yes",
]
PASSWORD = "hunter2"


def in_a_line(ran: Ran, code: int, *parts: str) -> None:
    """One line, without a traceback or a secret."""
    assert (ran.code, ran.out) == (code, "")
    lines = [line for line in ran.err.splitlines() if "Replaying" not in line]
    assert len(lines) == 1, ran.err
    assert PASSWORD not in ran.err
    for part in parts:
        assert part in lines[0]


@pytest.mark.parametrize("command", COMMANDS)
def test_redis_being_away_is_one_line(run: Run, environment: dict[str, str], command: str) -> None:
    environment["REDIS_URL"] = f"redis://me:{PASSWORD}@127.0.0.1:{free_port()}/0"
    in_a_line(run(*command.split()), 1, "Redis cannot be reached")


@pytest.mark.parametrize("command", [c for c in COMMANDS if "list" not in c and "show" not in c])
@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("sqlite:////nowhere/hunter2/ledger.db", "the ledger does not answer"),
        (f"postgresql://me:{PASSWORD}@127.0.0.1:1/x", "the ledger does not answer"),
        ("sqlite://", "python -m app migrate"),
    ],
)
def test_the_ledger_being_away_is_one_line_and_no_letter_is_touched(
    house: House, run: Run, environment: dict[str, str], command: str, url: str, told: str
) -> None:
    some(house)
    environment["DATABASE_URL"] = url
    in_a_line(run(*command.split()), 1, told)
    assert len(house.dead) == 5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", f"http://{PASSWORD}"),
        ("REDIS_URL", f"redis://me:{PASSWORD}/x@host:6379/0"),
        ("REDIS_URL", f"redis://host:6379/0?socket_timeout={PASSWORD}"),
        ("DATABASE_URL", f"mysql://me:{PASSWORD}@host/x"),
        ("DATABASE_URL", f"postgresql://me:{PASSWORD}@host:{PASSWORD}/x"),
        ("DATABASE_URL", f"sqlite://{PASSWORD}/x"),
        ("STRIPE_API_KEY", PASSWORD),
    ],
)
def test_a_wrong_setting_is_one_line_and_exit_code_2(
    run: Run, environment: dict[str, str], name: str, value: str
) -> None:
    environment[name] = value
    in_a_line(run("list"), 2, name)


def test_a_redis_that_grants_no_right_to_it_is_one_line(
    house: House, run: Run, environment: dict[str, str], valkey: Valkey
) -> None:
    house.redis.acl_setuser("reader", enabled=True, passwords=[f"+{PASSWORD}"], commands=["+ping"])
    try:
        environment["REDIS_URL"] = f"redis://reader:{PASSWORD}@127.0.0.1:{valkey.port}/0"
        in_a_line(run("list"), 1, "NoPermissionError")
    finally:
        house.redis.acl_deluser("reader")


@pytest.mark.parametrize("age", ["1", "1w", "-1h", "1.5h", "h", "soon"])
def test_an_age_that_is_none_is_refused_with_what_to_write(
    house: House, run: Run, age: str
) -> None:
    ran = run("list", "--older-than", age)
    assert ran.code == 2
    assert "write 90s, 15m, 2h or 3d" in ran.err


def test_a_reason_that_is_none_is_refused_with_the_four_there_are(house: House, run: Run) -> None:
    ran = run("list", "--reason", "bad")
    assert ran.code == 2
    for reason in ("permanent_error", "attempts_exhausted", "timed_out", "crashed_worker"):
        assert reason in ran.err


def test_a_job_that_is_under_way_is_never_taken_for_a_dead_letter(house: House, run: Run) -> None:
    house.events.accept(new("evt_1"))
    discard(run, "evt_1", "--yes")
    assert place(house.redis, "evt_1") == "queued"
