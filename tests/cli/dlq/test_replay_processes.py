"""`dlq replay` as a process, with real workers and with Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from tests.support.cli import ROOT, Run, start
from tests.support.deployment import Deployment, letter
from tests.support.ledger import count_events
from tests.support.places import queued
from tests.support.waiting import eventually


def test_with_real_workers_the_summary_is_right_and_progress_is_on_stderr(
    deployment: Deployment, environment: dict[str, str], tmp_path: Path
) -> None:
    deployment.apply(letter("evt_0", "verified", "old", at=90))
    deployment.bury(
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
            out, err = start(environment, "dlq", "replay").communicate(timeout=60)
        finally:
            workers.terminate()
            workers.wait(30)
    assert out == "9 replayed: 4 applied, 3 unchanged, 2 failed again.\n"
    assert "9 ended of 9 put back" in err
    assert deployment.dead == {"evt_c0", "evt_c1"}


def test_ctrl_c_in_the_middle_loses_nothing_and_the_next_run_takes_the_rest(
    deployment: Deployment, environment: dict[str, str], working: Deployment, run: Run
) -> None:
    deployment.bury(*(letter(f"evt_{n}", reference=f"user-{n}") for n in range(40)))
    # At this rate 40 take so long that it is in their middle, however late the signal comes.
    with start(environment, "dlq", "replay", "--rate", "1") as process:
        try:
            eventually(lambda: len(queued(deployment.redis)) >= 2, 60)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    put_back = len(queued(deployment.redis))
    assert process.returncode == 1
    assert "Broken off: what was put back goes on." in err
    assert "Traceback" not in err
    assert f"{put_back} still waiting." in out
    assert 2 <= put_back == 40 - len(deployment.dead) < 40
    assert len(queued(deployment.redis)) == len(set(queued(deployment.redis)))
    assert f"{40 - put_back} replayed: {40 - put_back} applied" in run("replay").out
    assert count_events(deployment.stores.engine) == 40
    assert {deployment.standing(f"user-{n}")[0] for n in range(40)} == {"verified"}
