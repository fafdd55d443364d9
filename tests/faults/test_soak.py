"""SIGKILL at random instants under load, to every part of the product."""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.restartable import Restartable, restartable_postgres
from tests.faults.rig import Rig
from tests.faults.sender import Sender
from tests.faults.stripe_stub import stripe_stub
from tests.faults.traffic import traffic
from tests.faults.verdict import Verdict, judge
from tests.support.stores import migrate_database

# What does the work dies more often than what it works on.
VICTIMS = ["events"] * 5 + ["effects", "clock", "web", "supervisor", "valkey"] * 2


def soak(
    folder: Path,
    database_url: str,
    *,
    references: int,
    kills: int,
    every: float,
    seed: int,
    postgres: Restartable | None = None,
    workers: str = "workers",
    lease: int = 4,
    seconds: float,
) -> Verdict:
    """Deliver histories while something dies about each `every` seconds; the verdict."""
    draw = random.Random(seed)
    lives = traffic(references, seed)
    rate = len(lives.deliveries) / (kills * every)
    victims = VICTIMS + ["postgres"] * (2 if postgres is not None else 0)
    with stripe_stub() as stub:
        stub.opened = lives.opened()
        extra = {
            "STRIPE_API_KEY": "sk_test_faults",
            "STRIPE_API_BASE": stub.url,
            "MAX_ATTEMPTS": "2",
        }
        rig = Rig(folder, database_url, lease=lease, workers=workers, extra=extra)
        with rig, Sender(rig.port, rate=rate) as sender:
            rig.start()
            rig.await_workers()
            sender.give(lives.deliveries)
            deadline = time.monotonic() + seconds
            while sum(rig.kills.values()) < kills or not sender.is_done:
                assert time.monotonic() < deadline, f"{rig.kills}, {sender.answers}\n{rig.tail()}"
                time.sleep(draw.uniform(0, 2 * every))
                if sum(rig.kills.values()) < kills:
                    strike(rig, draw.choice(victims), postgres, draw)
            verdict = judge(rig, sender, lives, stub=stub, seconds=180)
            assert not verdict.faults, f"seed {seed}: {verdict.faults}\n{rig.tail()}"
            assert set(sender.acknowledged) == set(lives.events)
    return verdict


def strike(rig: Rig, victim: str, postgres: Restartable | None, draw: random.Random) -> None:
    if victim == "postgres":
        assert postgres is not None
        postgres.kill()
        postgres.start()
        rig.kills[victim] += 1
    else:
        rig.kill(victim, draw)


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Writes a line that is seen whether the test passes or not."""

    def write(line: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{line}\n")

    return write


def seed_of_this_run() -> int:
    """FAULT_SEED, to run the same again, or a new one."""
    return int(os.environ.get("FAULT_SEED") or random.SystemRandom().randrange(1 << 32))


@pytest.mark.slow
def test_twenty_kills_at_random_instants_lose_nothing_and_apply_nothing_twice(
    tmp_path: Path, database_url: str, tell: Callable[[str], None]
) -> None:
    seed = seed_of_this_run()
    verdict = soak(
        tmp_path,
        database_url,
        references=140,
        kills=20,
        every=0.9,
        seed=seed,
        workers="tests.faults.fast_clock",
        seconds=60,
    )
    tell(f"seed {seed}; {verdict}")


@pytest.mark.timeout(1800)
@pytest.mark.soak
def test_two_hundred_kills_at_random_instants_lose_nothing_and_apply_nothing_twice(
    tmp_path: Path, tell: Callable[[str], None]
) -> None:
    seed = seed_of_this_run()
    with restartable_postgres() as postgres:
        migrate_database(postgres.url())
        verdict = soak(
            tmp_path,
            postgres.url(),
            references=2_900,
            kills=200,
            every=1.5,
            seed=seed,
            postgres=postgres,
            lease=10,
            seconds=900,
        )
    assert verdict.events >= 20_000
    tell(f"seed {seed}; {verdict}")
