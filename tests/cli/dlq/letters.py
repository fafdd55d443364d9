"""Dead letters for the commands, and what their output names."""

from __future__ import annotations

import re

from tests.support.cli import CommandResult
from tests.support.deployment import Deployment, letter


def bury_five(deployment: Deployment) -> None:
    """Dead letters of several kinds: their ids end with their numbers, oldest first."""
    deployment.bury(letter("evt_1", "verified", "user-1"), reason="timed_out", error_class="Slow")
    deployment.bury(letter("evt_2", "processing", "user-1"))
    deployment.bury(letter("evt_3", "verified", "user-2"), letter("evt_4", "canceled", "user-3"))
    deployment.bury(
        letter("evt_5", "verified", None, session="vs_5"),
        reason="crashed_worker",
        error_class="Lost",
    )
    for number, hours in enumerate((100, 50, 3, 2, 0), start=1):
        deployment.age(f"evt_{number}", hours=hours)


def ids_in(ran: CommandResult) -> list[str]:
    """The letters that standard output names, in their order."""
    return re.findall(r"evt_\w+", ran.out)
