"""What we stand on is away, full or limiting: what is answered, who waits, and that it comes back.

Nobody exits, and nobody spins: each process takes little of the processor meanwhile.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from app.queue.model import EVENTS
from tests.faults.conftest import MakeRig
from tests.faults.restartable import restartable_postgres
from tests.faults.rig import Rig
from tests.faults.sender import Sender
from tests.faults.stripe_stub import stripe_stub
from tests.faults.traffic import BEGAN, Event, Traffic, event_of, of, traffic
from tests.faults.verdict import judge
from tests.properties.lives import Step
from tests.support.ledger import count_events
from tests.support.stores import migrate_database
from tests.support.waiting import eventually

# Of one core, over the outage.
SPINNING = 0.4
FAST_CLOCK = "tests.faults.fast_clock"


@contextmanager
def outage(rig: Rig, seconds: float) -> Iterator[None]:
    """For this long at least; afterwards the same processes run, and none has spun."""
    before, began = rig.processes(), time.monotonic()
    took = rig.cpu()
    yield
    rest = began + seconds - time.monotonic()
    if rest > 0:
        time.sleep(rest)
    lasted = time.monotonic() - began
    spent = {name: seconds - took[name] for name, seconds in rig.cpu().items()}
    assert rig.processes() == before, rig.tail()
    assert max(spent.values()) < SPINNING * lasted, spent


def running(rig: Rig) -> Rig:
    rig.start()
    rig.await_workers()
    return rig


def assert_kept(rig: Rig, sender: Sender, lives: Traffic) -> None:
    """All was acknowledged in the end, and nothing is missing, doubled or dead."""
    verdict = judge(rig, sender, lives)
    assert not verdict.faults, f"{verdict.faults}\n{rig.tail()}"
    assert verdict.dead == 0
    assert set(sender.acknowledged) == set(lives.events)


def refused(sender: Sender) -> set[int]:
    """The statuses that deliveries were answered with, but for 200."""
    return set(sender.answers) - {200}


@pytest.mark.slow
def test_redis_away_for_15_seconds_is_answered_with_503_and_waited_for(make_rig: MakeRig) -> None:
    lives = traffic(60, seed=5)
    rig = running(make_rig(workers=FAST_CLOCK))
    # So few that answering them takes web a part of a slow core: the rest would be spinning.
    with Sender(rig.port, rate=20) as sender:
        sender.give(lives.deliveries)
        eventually(lambda: len(sender.acknowledged) > 50, 20)
        with outage(rig, 15):
            rig.valkey.kill()
        rig.valkey.start()
        sender.finish(40)
        assert refused(sender) == {503}
        assert_kept(rig, sender, lives)


@pytest.mark.slow
def test_a_full_redis_is_answered_with_503_while_the_workers_empty_it(make_rig: MakeRig) -> None:
    lives = traffic(60, seed=6)
    rig = running(make_rig(workers=FAST_CLOCK))
    # So few that answering them takes web a part of its core: the rest would be spinning.
    with Sender(rig.port, rate=60) as sender:
        sender.give(lives.deliveries)
        eventually(lambda: len(sender.acknowledged) > 100, 20)
        with outage(rig, 3):
            rig.redis.config_set("maxmemory", 1)
            eventually(lambda: sender.answers[503] > 10, 10)
            eventually(lambda: not rig.counts(EVENTS)["queued"], 20, "emptied")
        rig.redis.config_set("maxmemory", 0)
        sender.finish(40)
        assert refused(sender) == {503}
        assert_kept(rig, sender, lives)


@pytest.mark.slow
def test_a_sqlite_that_another_has_locked_is_waited_for(
    make_rig: MakeRig, database_url: str
) -> None:
    """The webhook needs no SQL: all is acknowledged meanwhile, and applied afterwards."""
    lives = traffic(8, seed=7)
    rig = running(make_rig(workers=FAST_CLOCK))
    path = database_url.removeprefix("sqlite:///")
    with Sender(rig.port) as sender:
        with closing(sqlite3.connect(path, isolation_level=None)) as other, outage(rig, 3):
            other.execute("BEGIN IMMEDIATE")
            sender.give(lives.deliveries)
            sender.finish(20)
            assert not refused(sender)
        assert_kept(rig, sender, lives)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of four megabytes."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.mark.slow
def test_a_full_disk_under_sqlite_is_waited_for(
    small_disk: Path, migrated: Path, make_rig: MakeRig
) -> None:
    lives = traffic(8, seed=8)
    path = shutil.copy(migrated, small_disk / "ledger.db")
    rig = running(make_rig(database_url=f"sqlite:///{path}", workers=FAST_CLOCK))
    ballast = small_disk / "ballast"
    with Sender(rig.port) as sender:
        with outage(rig, 2):
            fill(ballast)
            sender.give(lives.deliveries)
            sender.finish(20)
            assert not refused(sender)
            eventually(lambda: "the ledger is away" in rig.tail(), 10, "noticed")
            assert rig.counts(EVENTS)["scheduled"] == 0
        ballast.unlink()
        assert_kept(rig, sender, lives)


def fill(ballast: Path) -> None:
    """Write until the disk takes no more."""
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 10, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


@pytest.mark.slow
@pytest.mark.parametrize("way", ["stopped", "killed"])
def test_a_postgresql_that_is_away_is_waited_for(way: str, tmp_path: Path) -> None:
    """The webhook needs no SQL: all is acknowledged meanwhile, and applied afterwards."""
    lives = traffic(60, seed=9)
    with restartable_postgres() as postgres:
        migrate_database(postgres.url())
        with Rig(tmp_path, postgres.url(), workers=FAST_CLOCK) as rig:
            running(rig)
            with Sender(rig.port, rate=100) as sender:
                sender.give(lives.deliveries)
                eventually(lambda: count_events(rig.engine) > 50, 20)
                with outage(rig, 10):
                    if way == "killed":
                        postgres.kill()
                    else:
                        postgres.stop()
                    sender.finish(40)
                    assert not refused(sender)
                postgres.start()
                assert_kept(rig, sender, lives)


@pytest.mark.slow
def test_a_stripe_that_is_away_or_limits_or_fails_is_asked_again(make_rig: MakeRig) -> None:
    """Events need no API: they are applied at once. Effects are done once Stripe is well again."""
    ways = {"vs_0": 429, "vs_1": 500, "vs_2": 0}
    lives = of(failed_attempt(number) for number in range(len(ways)))
    with stripe_stub() as stub:
        stub.faults = dict(ways)
        extra = {
            "STRIPE_API_KEY": "sk_test_faults",
            "STRIPE_API_BASE": stub.url,
            "MAX_ATTEMPTS": "1",
        }
        rig = running(make_rig(workers=FAST_CLOCK, extra=extra))
        with Sender(rig.port) as sender:
            with outage(rig, 3):
                sender.give(lives.deliveries)
                sender.finish(20)
                eventually(lambda: count_events(rig.engine) == len(ways), 10)
                eventually(lambda: set(stub.failed) == set(ways), 10, "asked")
            assert not stub.asked
            stub.faults.clear()
            verdict = judge(rig, sender, lives, stub=stub)
    assert not verdict.faults, verdict.faults
    assert verdict.effects == {"cancel done": len(ways)}


def failed_attempt(number: int) -> Event:
    step = Step(f"vs_{number}", "requires_input", "requires_input", "document_expired", "vr_1")
    return event_of(f"user-{number}", replace(step, at=BEGAN + 60, opened=BEGAN))
