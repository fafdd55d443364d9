"""A wrong address of a store ends every process at its start, with one line and exit code 2."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.cli import ROOT

PLANTED = "PLANTED-VALUE"


@pytest.mark.parametrize(
    "arguments",
    [("workers",), ("app.web",), ("app", "migrate"), ("app", "dlq", "list")],
    ids=" ".join,
)
@pytest.mark.parametrize(
    ("name", "url", "why"),
    [
        (
            "DATABASE_URL",
            f"sqlite://user:{PLANTED}@host/x",
            "names a host or a user, which SQLite does not have: sqlite:///file",
        ),
        (
            "REDIS_URL",
            f"redis://h:6379/0?nosuch={PLANTED}",
            "has an option, after the ?, that Redis' client does not take",
        ),
    ],
)
def test_a_wrong_address_is_one_line_and_exit_code_2(
    arguments: tuple[str, ...], name: str, url: str, why: str
) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env={"STRIPE_WEBHOOK_SECRET": "whsec_test", name: url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", f"{name} {why}\n")
