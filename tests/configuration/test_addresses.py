"""A wrong address of a store ends every process at its start, with one line and exit code 2."""

from __future__ import annotations

import subprocess
import sys

import pytest

from app.configuration.addresses import SentinelAddress, describe_address, parse_sentinel_url
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
        env={"STRIPE_WEBHOOK_SECRET": "whsec_test", "DATABASE_URL": "sqlite://", name: url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", f"{name} {why}\n")


def test_an_address_of_sentinels_names_them_the_service_and_what_redis_needs() -> None:
    found = parse_sentinel_url(
        "rediss+sentinel://app:pass%2Fword@one,two:26380,[::1]:5/queue/3"
        "?sentinel_username=s&sentinel_password=p%40ss&socket_keepalive=yes"
    )
    assert found == SentinelAddress(
        hosts=(("one", 26379), ("two", 26380), ("::1", 5)),
        service="queue",
        redis_url="rediss://app:pass%2Fword@sentinel/3?socket_keepalive=yes",
        username="s",
        password="p@ss",
    )


def test_of_an_address_of_sentinels_only_where_they_are_is_shown() -> None:
    url = f"redis+sentinel://app:{PLANTED}@one:1,two:2/queue?sentinel_password={PLANTED}"
    assert describe_address(url) == "one:1,two:2"
