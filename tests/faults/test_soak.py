"""SIGKILL at random instants under load, to every part of the product."""

from __future__ import annotations

import math
import os
import random
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.restartable import Restartable, restartable_postgres
from tests.faults.rig import Rig
from tests.faults.sender import Sender
from tests.faults.slow_disk import require_strace
from tests.faults.stripe_stub import stripe_stub
from tests.faults.traffic import traffic
from tests.faults.verdict import Verdict, judge
from tests.support.stores import migrate_database

# Seconds: the disk is asked to keep what there is once a second, and takes a part of one.
LONGEST_ANSWER = 2.5
EFFECT_WORKERS = 3
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
    has_stripe: bool = True,
    seconds: float,
) -> Verdict:
    """Deliver histories while something dies about each `every` seconds; the verdict.

    Valkey writes to a slow disk, once a second. Where there is no Stripe, nothing can heal a loss.
    """
    draw = random.Random(seed)
    lives = traffic(references, seed)
    rate = len(lives.deliveries) / (kills * every)
    victims = VICTIMS + ["postgres"] * (2 if postgres is not None else 0)
    with ExitStack() as stack:
        stub = stack.enter_context(stripe_stub()) if has_stripe else None
        # One does some 20 effects a second on a Valkey that strace makes slow.
        extra = {"EFFECT_WORKERS": str(EFFECT_WORKERS)}
        if stub is not None:
            stub.opened = lives.opened()
            extra |= {
                "STRIPE_API_KEY": "sk_test_faults",
                "STRIPE_API_BASE": stub.url,
                "MAX_ATTEMPTS": "2",
            }
        rig = Rig(
            folder, database_url, lease=lease, workers=workers, has_slow_disk=True, extra=extra
        )
        # Each delivery waits for the disk.
        senders = math.ceil(rate * LONGEST_ANSWER)
        with rig, Sender(rig.port, rate=rate, senders=senders) as sender:
            rig.start()
            rig.await_workers()
            sender.give(lives.deliveries)
            deadline = time.monotonic() + seconds
            while sum(rig.kills.values()) < kills or not sender.is_done:
                assert time.monotonic() < deadline, f"{rig.kills}, {sender.answers}\n{rig.tail()}"
                time.sleep(draw.uniform(0, 2 * every))
                if sum(rig.kills.values()) < kills:
                    strike(rig, draw.choice(victims), postgres, draw)
            # The effects workers do what a long run has left.
            verdict = judge(rig, sender, lives, stub=stub, seconds=max(180, kills))
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
    """Without Stripe's API, which might make up for a loss."""
    require_strace()
    seed = seed_of_this_run()
    verdict = soak(
        tmp_path,
        database_url,
        references=140,
        kills=20,
        every=0.9,
        seed=seed,
        workers="tests.faults.fast_clock",
        has_stripe=False,
        seconds=90,
    )
    tell(f"seed {seed}; {verdict}")


# FAULT_KILLS=2000 over 200,000 events takes an hour; by default it is a tenth of that.
KILLS = int(os.environ.get("FAULT_KILLS") or 200)
EVENTS_A_KILL = 100
EVENTS_A_REFERENCE = 6.9
EVERY = 1.5  # seconds


@pytest.mark.timeout(9 * KILLS)
@pytest.mark.soak
def test_hundreds_of_kills_at_random_instants_lose_nothing_and_apply_nothing_twice(
    tmp_path: Path, tell: Callable[[str], None]
) -> None:
    require_strace()
    seed = seed_of_this_run()
    with restartable_postgres() as postgres:
        migrate_database(postgres.url())
        verdict = soak(
            tmp_path,
            postgres.url(),
            references=math.ceil(KILLS * EVENTS_A_KILL / EVENTS_A_REFERENCE),
            kills=KILLS,
            every=EVERY,
            seed=seed,
            postgres=postgres,
            lease=10,
            seconds=4 * EVERY * KILLS,
        )
    assert verdict.events >= KILLS * EVENTS_A_KILL
    tell(f"seed {seed}; {verdict}")
