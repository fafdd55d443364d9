"""What goes wrong is one line, and exit code 1 or 2."""

from __future__ import annotations

import pytest

from app.local.valkey import Valkey, free_port
from tests.cli.dlq.letters import bury_five
from tests.support.cli import CommandResult, Run
from tests.support.deployment import Deployment

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


def in_a_line(ran: CommandResult, code: int, *parts: str) -> None:
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
    in_a_line(run(*command.split()), 1, "Redis at 127.0.0.1:", "refuses the connection")


@pytest.mark.parametrize("command", [c for c in COMMANDS if "list" not in c and "show" not in c])
@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("sqlite:////nowhere/ledger.db", "the folder of the SQLite file /nowhere/ledger.db"),
        (f"postgresql://me:{PASSWORD}@127.0.0.1:1/x", "127.0.0.1:1 refuses the connection"),
        ("sqlite://", "python -m app migrate"),
    ],
)
def test_the_ledger_being_away_is_one_line_and_no_letter_is_touched(
    deployment: Deployment, run: Run, environment: dict[str, str], command: str, url: str, told: str
) -> None:
    bury_five(deployment)
    environment["DATABASE_URL"] = url
    in_a_line(run(*command.split()), 1, told)
    assert len(deployment.dead) == 5


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
    deployment: Deployment, run: Run, environment: dict[str, str], valkey: Valkey
) -> None:
    deployment.redis.acl_setuser(
        "reader", enabled=True, passwords=[f"+{PASSWORD}"], commands=["+ping"]
    )
    try:
        environment["REDIS_URL"] = f"redis://reader:{PASSWORD}@127.0.0.1:{valkey.port}/0"
        in_a_line(run("list"), 1, "does not let the user in REDIS_URL run ZRANGE (NOPERM)")
    finally:
        deployment.redis.acl_deluser("reader")
