"""`dev env` and `dev trigger`, beside one running `dev`."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from app.local.folder_lock import FolderLock
from app.local.trigger import OUTCOMES
from app.local.valkey import free_port
from deploy.sandbox import control
from tests.support.cli import Run, command_runner
from tests.support.dev import Dev, dev, free_ports


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """One `dev` for all tests here: each has users of its own."""
    with dev(tmp_path_factory.mktemp("dev") / "da ta", *free_ports()) as started:
        yield started.up()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `identity` in this process, with no settings."""
    return command_runner({}, monkeypatch, capsys)


def exports(run: Run, running: Dev) -> dict[str, str]:
    """What a shell has after `eval "$(identity dev env)"`."""
    ran = run("dev", "env", "--folder", str(running.folder))
    assert (ran.code, ran.err) == (0, "")
    words = shlex.split(ran.out)
    assert words[::2] == ["export"] * (len(words) // 2)
    return dict(word.split("=", 1) for word in words[1::2])


def test_every_command_works_with_what_env_prints(run: Run, running: Dev) -> None:
    settings = exports(run, running)
    assert run("dlq", "list", **settings).code == 0
    assert run("doctor", **settings).code == 0
    assert run("backfill", "--since", "1h", **settings).code == 0
    assert run("sweep", **settings).code == 0
    answer = requests.get(
        f"{settings['API']}/metrics",
        headers={"Authorization": f"Bearer {settings['TOKEN']}"},
        timeout=30,
    )
    assert answer.ok
    assert requests.get(f"{settings['STRIPE']}/_sandbox/clock", timeout=30).ok


def test_what_env_prints_is_read_from_a_file_for_its_owner_only(running: Dev) -> None:
    assert (running.folder / "environment.json").stat().st_mode & 0o777 == 0o600


def test_the_folder_may_stand_before_the_subcommand_too(run: Run, running: Dev) -> None:
    assert run("dev", "--folder", str(running.folder), "env").code == 0


def test_a_shell_that_has_our_settings_starts_no_account_at_stripe(run: Run, running: Dev) -> None:
    settings = exports(run, running)
    with dev(running.folder, **settings) as another:
        assert another.process.wait(60) == 1
    assert "is in use: it runs already" in another.text


def trigger(run: Run, running: Dev, *arguments: str) -> dict[str, Any]:
    ran = run("dev", "trigger", *arguments, "--folder", str(running.folder), "--json")
    assert ran.code == 0, ran.err
    return ran.object


def test_trigger_verifies_a_user(run: Run, running: Dev) -> None:
    told = trigger(run, running, "verified", "--reference", "anna")
    assert told["outcome"] == "verified"
    assert told["client_reference_id"] == "anna"
    assert told["dead_letters"] == []
    shown = run("references", "show", "anna", "--json", **exports(run, running)).object
    assert told["standing"] == shown["standing"]
    assert shown["standing"]["status"] == "verified"
    assert shown["standing"]["session_id"] == told["session_id"]


def test_trigger_waits_for_each_failure_of_one_session(run: Run, running: Dev) -> None:
    first = trigger(run, running, "document_expired", "--reference", "berta")
    again = trigger(run, running, "document_expired", "--reference", "berta")
    assert first["session_id"] == again["session_id"]
    assert [told["standing"]["attempts"] for told in (first, again)] == [1, 2]
    assert again["standing"]["next_step"] == "use_another_document"


def test_trigger_acts_for_a_verified_user_too(run: Run, running: Dev) -> None:
    trigger(run, running, "verified", "--reference", "carla")
    ran = run(
        "dev", "trigger", "abandoned", "--reference", "carla", "--folder", str(running.folder)
    )
    assert ran.code == 0
    standing, session = ran.out.splitlines()
    assert standing == "carla: verified, next step none, failed attempts 1"
    assert session.endswith(": requires_input (abandoned)")


def test_trigger_takes_a_new_user_if_none_is_named(run: Run, running: Dev) -> None:
    one, other = (trigger(run, running, "walk_away")["client_reference_id"] for _ in range(2))
    assert one != other


def test_trigger_makes_a_dead_letter_that_a_replay_applies(run: Run, running: Dev) -> None:
    settings = exports(run, running)
    told = trigger(run, running, "dead_letter", "--reference", "dora")
    assert len(told["dead_letters"]) == 2
    assert told["standing"]["status"] == "requires_input"
    listed, *letters = run("dlq", "list", "--reference", "dora", "--json", **settings).objects
    assert listed["total"] == 2
    assert {letter["id"] for letter in letters} == {*told["dead_letters"]}
    replayed = run("dlq", "replay", "--session", told["session_id"], "--json", **settings)
    # Both in one transaction, or one after the other: then only the later one changes anything.
    assert replayed.object["applied"] + replayed.object["unchanged"] == 2
    shown = run("references", "show", "dora", "--json", **settings).object
    assert shown["standing"]["status"] == "verified"


def test_trigger_says_how_to_look_at_its_dead_letter(run: Run, running: Dev) -> None:
    ran = run("dev", "trigger", "dead_letter", "--folder", str(running.folder))
    commands = [line.strip() for line in ran.out.splitlines() if line.startswith("  identity")]
    assert len(commands) == 3
    settings = exports(run, running)
    for command in commands:
        words = shlex.split(command, comments=True)
        assert run(*words[1:], **settings).code == 0, command
    assert run("dlq", "list", **settings).out == "No dead letters.\n"


def test_trigger_tells_what_our_api_refuses(run: Run, running: Dev) -> None:
    ran = run("dev", "trigger", "verified", "--reference", "", "--folder", str(running.folder))
    assert (ran.code, ran.out) == (1, "")
    assert "client_reference_id" in ran.err
    assert len(ran.err.splitlines()) == 1


def test_trigger_says_what_does_not_arrive(
    run: Run, running: Dev, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.local.trigger.TIMEOUT", 0.2)
    webhooks = f"{exports(run, running)['STRIPE']}/_sandbox/webhooks"
    assert requests.post(webhooks, json={"enabled": False}, timeout=30).ok
    try:
        ran = run("dev", "trigger", "verified", "--folder", str(running.folder))
    finally:
        assert requests.post(webhooks, json={"enabled": True}, timeout=30).ok
    assert (ran.code, ran.out) == (1, "")
    (line,) = ran.err.splitlines()
    assert "has not arrived in the ledger" in line


def test_trigger_says_which_process_does_not_answer(run: Run, running: Dev, tmp_path: Path) -> None:
    told = json.loads((running.folder / "environment.json").read_text())
    gone = f"http://127.0.0.1:{free_port()}"
    (tmp_path / "environment.json").write_text(json.dumps({**told, "web": gone}))
    lock = FolderLock(tmp_path)
    lock.acquire()
    ran = run("dev", "trigger", "verified", "--folder", str(tmp_path))
    lock.release()
    assert (ran.code, ran.out) == (1, "")
    (line,) = ran.err.splitlines()
    assert f"{gone}/v1/verification_sessions does not answer" in line


def test_the_help_of_trigger_lists_every_outcome_of_the_sandbox(run: Run) -> None:
    assert {*OUTCOMES} == {*control.OUTCOMES}
    told = run("dev", "trigger", "--help").out
    listed = [line.split()[0] for line in told.splitlines() if line.strip()]
    assert [outcome for outcome in (*OUTCOMES, "dead_letter") if outcome not in listed] == []


def test_an_unknown_outcome_is_answered_with_those_there_are(run: Run) -> None:
    ran = run("dev", "trigger", "verfied")
    assert ran.code == 2
    assert "'document_expired'" in ran.err


@pytest.mark.parametrize("command", [["env"], ["trigger", "verified"]])
def test_where_no_dev_runs_there_is_one_line_and_exit_code_1(
    run: Run, tmp_path: Path, command: list[str]
) -> None:
    ran = run("dev", *command, "--folder", str(tmp_path))
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == f"Error: no `dev` is up in {tmp_path}: start it in another terminal\n"


def test_what_a_killed_dev_has_left_is_not_taken_for_one(
    run: Run, running: Dev, tmp_path: Path
) -> None:
    for name in ("environment.json", "lock"):
        shutil.copy(running.folder / name, tmp_path)
    assert run("dev", "env", "--folder", str(tmp_path)).code == 1
