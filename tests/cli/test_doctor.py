"""`identity doctor` as an operator runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click import unstyle

from app.cli.doctor import line_of, worst
from app.cli.local.valkey import Valkey, free_port
from app.ledger.engine import open_engine
from app.ledger.migrate import upgrade
from app.operations.checks.finding import Finding
from app.queue.connection import open_redis
from app.queue.jobs import JobQueue
from app.queue.model import EFFECTS, EVENTS
from tests.workers.building import worker_of

ROOT = Path(__file__).parents[2]


def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, with these settings and none of the machine's."""
    return subprocess.run(
        [sys.executable, "-m", "app", "doctor", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


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


def test_what_is_wrong_is_told_in_a_line_each_and_exits_with_1() -> None:
    done = run(**away())
    assert done.returncode == 1
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert {line.split()[0] for line in lines} <= {"ok", "warning", "wrong"}
    assert lines[0].startswith("wrong    settings              STRIPE_WEBHOOK_SECRET has to be")
    assert "PORT has to be" in lines[0]
    assert "PLANTED" not in done.stdout
    assert "\x1b" not in done.stdout  # no colours where nobody sees them


def test_json_is_one_object_with_a_list_of_checks() -> None:
    done = run("--json", **away())
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["state"] == "wrong"
    assert all(set(check) == {"name", "state", "told", "do"} for check in told["checks"])
    names = [check["name"] for check in told["checks"]]
    assert len(names) == len(set(names)) > 10
    assert "PLANTED" not in done.stdout + done.stderr


def test_warnings_alone_exit_with_0(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    engine = open_engine(url)
    upgrade(engine)
    engine.dispose()
    with Valkey(tmp_path / "valkey", fsync="no") as own:
        with open_redis(own.url) as redis:
            for queue in (EVENTS, EFFECTS):
                worker_of(redis, lambda *_: None, queue=JobQueue(redis, queue))
        done = run("--json", STRIPE_WEBHOOK_SECRET="whsec_1", REDIS_URL=own.url, DATABASE_URL=url)
    told = json.loads(done.stdout)
    assert (done.returncode, told["state"]) == (0, "warning"), told


@pytest.mark.parametrize(
    ("states", "whole"),
    [(["ok", "ok"], "ok"), (["ok", "warning"], "warning"), (["wrong", "warning"], "wrong")],
)
def test_the_whole_is_as_ill_as_its_illest_part(states: list[str], whole: str) -> None:
    findings = [Finding(str(i), state, "told") for i, state in enumerate(states)]  # type: ignore[arg-type]
    assert worst(findings) == whole


def test_a_server_cannot_write_to_the_terminal() -> None:
    line = unstyle(line_of(Finding("redis", "ok", "Redis \x1b[2J\n\rvery new")))
    assert line == "ok       redis                 Redis ?[2J??very new."
