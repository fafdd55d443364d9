"""`docs/how-to/replay.md`: every `dlq` command of it works."""

from __future__ import annotations

import re
import shlex

import pytest

from app.operations.dlq import replay as replay_module
from tests.support.cli import ROOT, Run
from tests.support.deployment import Deployment, letter
from tests.support.places import new

PAGE = (ROOT / "docs/how-to/replay.md").read_text("utf-8")
COMMANDS = sorted(
    {
        line.removeprefix("python -m app dlq ")
        for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
        for line in block.splitlines()
        if line.startswith("python -m app dlq ")
    }
)


def test_the_page_has_commands_of_every_kind() -> None:
    assert {command.split()[0] for command in COMMANDS} == {"list", "show", "replay", "discard"}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_works(
    deployment: Deployment, run: Run, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_module, "STALL_TIMEOUT", 0.01)  # no worker runs
    monkeypatch.setattr(replay_module, "POLL_INTERVAL", 0.001)
    deployment.bury(letter("evt_7", session="vs_1"))
    deployment.age("evt_7", hours=100)
    deployment.bury(new("evt_7-notify"), queue=deployment.stores.effects)
    ran = run(*shlex.split(command.replace("evt_…", "evt_7")), typed="y\n")
    assert "Usage:" not in ran.err
    assert "Error" not in ran.err
    assert ran.code == (1 if "still waiting" in ran.out else 0)
    assert ran.out
