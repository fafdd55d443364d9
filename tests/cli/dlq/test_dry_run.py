"""`dlq replay --dry-run`: what would change, and that nothing does."""

from __future__ import annotations

import re
from dataclasses import replace

from tests.cli.dlq.letters import bury_five
from tests.support.cli import CommandResult, Run
from tests.support.deployment import Deployment, letter


def rows(ran: CommandResult) -> dict[str, list[str]]:
    """The table's rows by their first column, their cells parted by two spaces or more."""
    found = [re.split(r"\s{2,}", line.strip()) for line in ran.out.splitlines()[1:-1]]
    return {first: rest for first, *rest in found}


def test_a_dry_run_shows_what_would_change_by_reference_and_does_nothing(
    deployment: Deployment, run: Run
) -> None:
    deployment.apply(letter("evt_0", "processing", "a"), letter("evt_9", "verified", "c", at=90))
    deployment.bury(
        letter("evt_1", "verified", "a", at=5),
        letter("evt_2", "requires_input", "b", error="document_expired"),
        letter("evt_3", "processing", "b", at=-5),
        letter("evt_4", "processing", "c", at=10),
        letter("evt_9", "verified", "c", at=90),
        letter("evt_5", "verified", None),
    )
    before = deployment.snapshot()
    ran = run("replay", "--dry-run")
    assert deployment.snapshot() == before
    assert ran.code == 0
    assert rows(ran) == {
        "a": ["test", "1", "processing, wait", "verified", "changes"],
        "b": ["test", "2", "-", "requires_input, use_another_document, 1 failed", "changes"],
        "c": ["test", "2", "verified", "verified"],
        "(no reference)": ["test", "1", "-", "-"],
    }
    assert ran.out.endswith("2 of 3 reference(s) would change. Nothing was done.\n")


def test_a_dry_runs_json_has_both_standings(deployment: Deployment, run: Run) -> None:
    deployment.apply(letter("evt_0", "processing", "a"))
    deployment.bury(letter("evt_1", "verified", "a", at=5))
    (found,) = run("replay", "--dry-run", "--json").objects
    assert (found["reference"], found["letters"], found["changes"]) == ("a", 1, True)
    assert (found["before"]["status"], found["after"]["status"]) == ("processing", "verified")


def test_a_dry_run_says_how_many_letters_no_version_can_read(
    deployment: Deployment, run: Run
) -> None:
    deployment.bury(letter("evt_1"), replace(letter("evt_2"), payload={"of": "another version"}))
    ran = run("replay", "--dry-run")
    assert rows(ran)["user-1"][1] == "1"
    assert ran.err.startswith("1 letter(s) no version can read")


def test_a_dry_run_of_some_is_of_those_alone(deployment: Deployment, run: Run) -> None:
    bury_five(deployment)
    assert set(rows(run("replay", "--dry-run", "--reference", "user-2"))) == {"user-2"}
    assert set(rows(run("replay", "--dry-run", "evt_1", "evt_4"))) == {"user-1", "user-3"}


def test_a_dry_run_of_nothing_says_so(deployment: Deployment, run: Run) -> None:
    assert run("replay", "--dry-run").out.startswith("0 of 0 reference(s) would change.")


def test_effects_change_no_standing_so_there_is_no_dry_run_of_them(
    deployment: Deployment, run: Run
) -> None:
    ran = run("replay", "--dry-run", "--queue", "effects")
    assert ran.code == 2
    assert "--dry-run is for events" in ran.err
