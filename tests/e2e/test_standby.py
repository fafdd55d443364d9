"""A standby that had not received the last commits takes over: Stripe has them still."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.local.scenarios import Scenario, run
from tests.e2e.site import Site, open_site
from tests.support.cli import ROOT
from tests.support.standby import Pair, hot_standby
from tests.support.stores import migrate_database

pytestmark = pytest.mark.slow
# No standing of theirs needs an effect: one that was done before the loss counts as done in Redis,
# and is done again after an hour only.
WAYS = (("create", "verified"), ("create", "cancel"))
USERS = [Scenario(f"user_{number}", WAYS[number % 2]) for number in range(40)]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A primary that does not wait for its standby."""
    with hot_standby(synchronous=False) as pair:
        migrate_database(pair.url())
        yield pair


@pytest.fixture
def site(pair: Pair, tmp_path: Path) -> Iterator[Site]:
    """The product, up and running on it."""
    with open_site(tmp_path, pair.url()) as site:
        site.start_web()
        site.start_workers()
        yield site


def backfill(site: Site) -> None:
    """As the clock does every five minutes, and an operator who does not wait for it."""
    subprocess.run(
        [sys.executable, "-m", "app", "backfill"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **site.environment},
        check=True,
        capture_output=True,
        timeout=60,
    )


def test_commits_that_a_standby_had_not_received_come_back_by_the_backfill(
    site: Site, pair: Pair
) -> None:
    before, after = USERS[:20], USERS[20:]
    for one in before:
        run(one, site.sandbox)
    site.await_delivered()
    site.await_agreement()
    pair.separate()
    for one in after:
        run(one, site.sandbox)
    site.await_delivered()
    site.await_agreement()
    pair.kill()
    pair.promote()
    assert site.disagreeing() != []
    backfill(site)
    site.await_agreement()
