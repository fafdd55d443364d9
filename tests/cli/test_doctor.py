"""`identity doctor` as an operator runs it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click import unstyle

from app.cli.doctor import line_of
from app.doctor.result import Finding, State, worst
from app.local.valkey import Valkey, free_port
from app.queue.connection import open_redis
from app.queue.model import EFFECTS, EVENTS
from app.queue.transitions import JobQueue
from tests.support.cli import CommandResult, start, wait_for
from tests.support.workers import worker_of


def doctor(*arguments: str, **settings: str) -> CommandResult:
    """The command in a process of its own, with these settings and none of the machine's."""
    return wait_for(start(settings, "doctor", *arguments))


def away() -> dict[str, str]:
    """Settings that are wrong in every way, with secrets in them."""
    port = free_port()
    return {
        "STRIPE_WEBHOOK_SECRET": "PLANTED",
        "STRIPE_API_KEY": "sk_test_PLANTED",
        "STRIPE_API_BASE": f"http://127.0.0.1:{port}",
        "REDIS_URL": f"redis://:PLANTED@127.0.0.1:{port}",
        "DATABASE_URL": f"postgresql://u:PLANTED@127.0.0.1:{port}/PLANTED",
        "PORT": "PLANTED",
    }


def test_what_is_wrong_is_reported_in_a_line_each_and_exits_with_1() -> None:
    done = doctor(**away())
    assert done.code == 1
    assert done.err == ""
    lines = done.out.splitlines()
    assert {line.split()[0] for line in lines} <= {"ok", "warning", "wrong"}
    assert lines[0].startswith("wrong    settings              STRIPE_WEBHOOK_SECRET has to be")
    assert "PORT has to be" in lines[0]
    assert "PLANTED" not in done.out
    assert "\x1b" not in done.out  # no colours where nobody sees them


def test_json_is_one_object_with_a_list_of_checks() -> None:
    done = doctor("--json", **away())
    assert done.code == 1
    found = done.object
    assert found["state"] == "wrong"
    assert all(set(check) == {"name", "state", "message", "hint"} for check in found["checks"])
    names = [check["name"] for check in found["checks"]]
    assert len(names) == len(set(names)) > 10
    assert "PLANTED" not in done.out + done.err


def test_warnings_alone_exit_with_0(tmp_path: Path, database_url: str) -> None:
    with Valkey(tmp_path / "valkey", fsync="no") as own:
        with open_redis(own.url) as redis:
            for queue in (EVENTS, EFFECTS):
                worker_of(redis, lambda *_: None, queue=JobQueue(redis, queue))
        done = doctor(
            "--json", STRIPE_WEBHOOK_SECRET="whsec_1", REDIS_URL=own.url, DATABASE_URL=database_url
        )
    found = done.object
    assert (done.code, found["state"]) == (0, "warning"), found


@pytest.mark.parametrize(
    ("states", "whole"),
    [(["ok", "ok"], "ok"), (["ok", "warning"], "warning"), (["wrong", "warning"], "wrong")],
)
def test_the_whole_is_as_ill_as_its_illest_part(states: list[State], whole: str) -> None:
    findings = [Finding(str(i), state, "message") for i, state in enumerate(states)]
    assert worst(findings) == whole


def test_a_server_cannot_write_to_the_terminal() -> None:
    line = unstyle(line_of(Finding("redis", "ok", "Redis \x1b[2J\n\rvery new")))
    assert line == "ok       redis                 Redis ?[2J??very new."
