"""A wrong address of a store ends every process at its start, with one line and exit code 2."""

from __future__ import annotations

import subprocess
import sys

import pytest

from app.configuration.addresses import (
    SentinelAddress,
    describe_address,
    parse_database_url,
    parse_sentinel_url,
)
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


SEVERAL = {
    "postgres://me:p@one,two:5433,[::1]:7/ledger?target_session_attrs=read-write": (
        ("one,two,::1", "5432,5433,7")
    ),
    "postgresql://one,two/ledger": ("one,two", "5432,5432"),
    "postgresql:///ledger?host=one,two&port=1,2": ("one,two", "1,2"),
    "postgresql://me:p,w@one:1/ledger": ("one", 1),
}


@pytest.mark.parametrize("url", SEVERAL)
def test_an_address_of_postgresql_may_name_several_hosts(url: str) -> None:
    parsed = parse_database_url(url)
    _, options = parsed.get_dialect()().create_connect_args(parsed)
    assert (options["host"], options["port"]) == SEVERAL[url]
    assert options["dbname"] == "ledger"
    asked = "target_session_attrs" in url
    assert options.get("target_session_attrs") == ("read-write" if asked else None)


def test_hosts_that_cannot_be_read_are_told_without_what_may_be_secret() -> None:
    with pytest.raises(ValueError, match="cannot be read: write postgres://") as raised:
        parse_database_url(f"postgres://one:1,two:{PLANTED}/ledger")
    assert PLANTED not in str(raised.value)
