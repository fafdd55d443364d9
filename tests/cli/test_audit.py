"""`audit list`: who changed what, as a table and as JSON."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from app.local.valkey import Valkey
from tests.support.cli import Run
from tests.support.deployment import Deployment, letter


@pytest.fixture
def environment(deployment: Deployment, valkey: Valkey) -> dict[str, str]:
    return {"REDIS_URL": valkey.url, "DATABASE_URL": deployment.database_url}


@pytest.fixture
def audit(run: Run) -> Run:
    """Runs `identity audit list`."""
    return partial(run, "audit", "list")


def record(deployment: Deployment, **fields: Any) -> None:
    given: dict[str, Any] = {"who": "anna", "via": "cli", "action": "pause", "at": 0, "target": {}}
    deployment.stores.audit.record(**(given | fields))


def test_an_entry_is_one_line_of_a_table(deployment: Deployment, audit: Run) -> None:
    deployment.apply(letter("evt_1", reference="user-1"))
    record(
        deployment,
        action="redact_reference",
        target={"reference": "user-1"},
        reason="[bold]asked\x1b[2J",
        result="done: 1 asked for",
    )
    heading, line = audit().out.splitlines()
    assert heading.split() == [
        *("id", "when", "(UTC)", "who", "via", "action", "target", "result", "reason")
    ]
    for told in ("1970-01-01 00:00:00", "anna", "cli", "redact_reference", "reference user-1"):
        assert told in line
    assert "done: 1 asked for" in line
    assert "[bold]asked" in line
    assert "\x1b" not in line


def test_it_is_shown_a_page_at_a_time(deployment: Deployment, audit: Run) -> None:
    for at in range(3):
        record(deployment, at=at)
    first = audit("--limit", "2", "--json").object
    assert ([one["at"] for one in first["data"]], first["has_more"]) == ([2, 1], True)
    last = str(first["data"][-1]["id"])
    assert audit("--limit", "2").out.splitlines()[-1] == f"There are more: --before {last}"
    rest = audit("--before", last, "--json").object
    assert ([one["at"] for one in rest["data"]], rest["has_more"]) == ([0], False)


def test_it_is_filtered_by_who_and_by_action(deployment: Deployment, audit: Run) -> None:
    record(deployment, who="ben", action="pause")
    record(deployment, who="ben", action="resume")
    record(deployment)
    found = audit("--who", "ben", "--action", "resume", "--json").object["data"]
    assert [(one["who"], one["action"]) for one in found] == [("ben", "resume")]
    assert audit("--who", "nobody").out == "No entries like that.\n"


def test_json_has_all_of_an_entry(deployment: Deployment, audit: Run) -> None:
    record(deployment, target={"reference": "user-9"}, at=7)
    (entry,) = audit("--json").object["data"]
    assert entry.pop("id")
    assert entry == {
        "at": 7,
        "who": "anna",
        "via": "cli",
        "action": "pause",
        "target": {"reference": None},
        "reason": "",
        "result": "done",
    }


def test_an_empty_audit_is_said(audit: Run) -> None:
    assert audit() == (0, "The audit is empty.\n", "")


@pytest.mark.parametrize("before", ["0", "-1", "x", str(2**63)])
def test_what_is_no_id_is_a_wrong_call(audit: Run, before: str) -> None:
    assert audit("--before", before).code == 2
