"""A team's receiver under the product's faults and its own."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from app.domain.event import SessionEvent
from app.domain.standing import Standing
from app.ledger.engine import for_reading
from app.ledger.tables import effects, standings, timeline
from app.local.valkey import free_port
from app.queue.model import EFFECTS, EVENTS, event_job
from tests.faults.rig import Rig
from tests.faults.traffic import Event, event_of, traffic
from tests.notifications.receiver import (
    SECRET,
    Behaviour,
    Delivery,
    Receiver,
    answering,
    closing,
    receiving,
    slow,
)
from tests.properties.lives import Step
from tests.support.ledger import count_events
from tests.support.stores import migrate_database
from tests.support.waiting import eventually

SCHEDULED = "rq:scheduled:identity-effects"
# What asks for a notification (design, 5.4): what else changes a standing goes with the next one.
TOLD = {"requires_input", "verified", "canceled", "redacted"}
WORKERS = 3


def product(folder: Path, url: str, *, lease: int, event_workers: int = 1) -> Rig:
    """Valkey, and workers to be started, that notify this address."""
    database_url = f"sqlite:///{folder / 'identity.db'}"
    migrate_database(database_url)
    return Rig(
        folder,
        database_url,
        lease=lease,
        event_workers=event_workers,
        workers="tests.faults.fast_clock",
        extra={
            "NOTIFY_URL": url,
            "NOTIFY_SECRET": SECRET,
            "NOTIFY_ALLOW_PRIVATE": "1",
            "EFFECT_WORKERS": str(WORKERS),
        },
    )


def deliver(rig: Rig, events: Iterable[Event]) -> None:
    """Enqueue them, as the web process does."""
    found = [SessionEvent.parse(json.loads(event.body)) for event in events]
    rig.events.enqueue_all([event_job(event) for event in found if event is not None])


def hurry(rig: Rig) -> None:
    """What waits for its next try is due now, and the dead are replayed."""
    waiting: Any = dict.fromkeys(rig.redis.zrange(SCHEDULED, 0, -1), 1)
    if waiting:
        rig.redis.zadd(SCHEDULED, waiting, xx=True)
    rig.effects.replay([letter.id for letter in rig.effect_letters])


def is_over(rig: Rig) -> bool:
    """Whether every event is applied and every effect done."""
    counts = rig.counts(EVENTS)
    rig.events.replay([letter.id for letter in rig.letters])
    if counts["queued"] or counts["started"] or counts["failed"] or counts["scheduled"]:
        return False
    with for_reading(rig.engine).connect() as connection:
        pending = select(effects.c.id).where(effects.c.status == "pending").limit(1)
        return connection.execute(pending).first() is None


def finish(rig: Rig, seconds: float) -> None:
    """Wait for it, without the waits between tries."""

    def over() -> bool:
        hurry(rig)
        time.sleep(0.2)
        return is_over(rig)

    try:
        eventually(over, seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{rig.counts(EFFECTS)}\n{rig.tail()}") from None


def versions_by_reference(rig: Rig) -> dict[str, dict[int, tuple[str, dict[str, Any]]]]:
    """By reference and version: what caused it, and how the reference then stood."""
    fields = ("status", "session_id", "attempts", "last_error_code", "next_step", "redaction")
    found: dict[str, dict[int, tuple[str, dict[str, Any]]]] = defaultdict(dict)
    lines = select(standings.c.client_reference_id, timeline).join_from(timeline, standings)
    with for_reading(rig.engine).connect() as connection:
        for row in connection.execute(lines):
            stood = {name: getattr(row, name) for name in fields}
            found[row.client_reference_id][row.version] = (row.cause, stood)
    return found


def faults(rig: Rig, receiver: Receiver) -> list[str]:
    """Each reference of which the receiver knows something old, wrong, or in the wrong order."""
    heard: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for message in receiver.accepted:
        heard[message["data"]["client_reference_id"]].append(message)
    found = []
    for reference, versions in versions_by_reference(rig).items():
        told = [message["data"]["standing"] for message in heard[reference]]
        numbers = [standing["version"] for standing in told]
        wanted = max((v for v, (cause, _) in versions.items() if cause in TOLD), default=0)
        if numbers != sorted(numbers):
            found.append(f"{reference} went back: {numbers}")
        if max(numbers, default=0) < wanted:
            found.append(f"{reference} is at {numbers}, not {wanted}")
        for standing in told:
            stood = versions[standing["version"]][1]
            if {name: standing[name] for name in stood} != stood:
                found.append(f"{reference} was told {standing}, not {stood}")
        if len({(m["id"], m["data"]["standing"]["version"]) for m in heard[reference]}) != len(
            set(numbers)
        ):
            found.append(f"{reference}: a version came under two ids")
    return found


def misbehaving(receiver: Receiver, draw: random.Random) -> Behaviour:
    """One that fails in each way, and takes what it is given half of the time."""

    def take_and_close(delivery: Delivery) -> None:
        receiver.enqueue(delivery)
        closing(delivery)

    ways: list[Behaviour] = [
        *[receiver.enqueue] * 4,
        slow(0.3, receiver.enqueue),
        take_and_close,
        answering(500),
        answering(302, Location="/elsewhere"),
        answering(503, Retry_After="1"),
        closing,
    ]
    lock = threading.Lock()

    def behave(delivery: Delivery) -> None:
        with lock:
            way = draw.choice(ways)
        way(delivery)

    return behave


@pytest.mark.slow
def test_every_change_arrives_in_order_while_workers_are_killed_and_the_receiver_misbehaves(
    tmp_path: Path,
) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    draw = random.Random(seed)
    lives = traffic(40, seed)
    with receiving(answering(500), closing) as receiver:
        receiver.usual = misbehaving(receiver, random.Random(seed))
        with product(tmp_path, receiver.url, lease=8) as rig:
            rig.start_workers()
            rig.await_workers()
            victims = ["effects"] * 5 + ["supervisor", "clock"]
            for number, victim in enumerate(victims):
                deliver(rig, lives.deliveries[number :: len(victims)])
                time.sleep(draw.uniform(0.1, 0.9))
                hurry(rig)
                rig.kill(victim, draw)
            receiver.usual = None
            finish(rig, 60)
            assert rig.kills["effects"] >= 1
            assert faults(rig, receiver) == [], f"seed {seed}"
            assert receiver.refused == 0
            assert not receiver.followed
            assert receiver.most_at_once <= WORKERS + sum(rig.kills.values())


@pytest.mark.slow
def test_several_workers_keep_the_order_of_a_reference_at_a_slow_receiver(tmp_path: Path) -> None:
    draw = random.Random(5)
    with receiving() as receiver:

        def take_its_time(delivery: Delivery) -> None:
            slow(draw.uniform(0, 0.6), receiver.enqueue)(delivery)

        receiver.usual = take_its_time
        with product(tmp_path, receiver.url, lease=30) as rig:
            rig.start_workers()
            rig.await_workers()
            for attempt in range(12):
                deliver(rig, [failure(f"user-{number}", attempt) for number in range(4)])
                time.sleep(0.2)
            finish(rig, 60)
        assert faults(rig, receiver) == []
        told = [message["id"] for message in receiver.accepted]
        assert len(told) == len(set(told))
        assert 1 < receiver.most_at_once <= WORKERS


def failure(reference: str, attempt: int) -> Event:
    """An attempt of the reference that fails."""
    at = 1_700_000_000 + attempt
    report = f"vr_{reference}_{attempt}"
    step = Step(f"vs_{reference}", "requires_input", "requires_input", "abandoned", report)
    return event_of(reference, replace(step, at=at, opened=1_700_000_000))


# --- a receiver that is down ----------------------------------------------------------------


def verified(count: int) -> list[Event]:
    """As many references, each verified at once."""
    return [
        event_of(f"user-{n}", Step(f"vs_{n}", "verified", "verified", at=1_700_000_000, opened=n))
        for n in range(count)
    ]


def memory(rig: Rig) -> dict[str, float]:
    """Megabytes in use by each effects worker."""
    found = {}
    for name, pid in rig.children().items():
        if name.startswith("effects"):
            status = Path(f"/proc/{pid}/status").read_text()
            found[name] = int(status.partition("VmRSS:")[2].split()[0]) / 1024
    return found


def least_attempts(rig: Rig, ids: list[str]) -> int:
    """How often the job that was tried least was tried."""
    with rig.redis.pipeline(transaction=False) as pipeline:
        for id in ids:
            pipeline.hget(f"rq:job:{id}", "attempts")
        return min(int(attempts or 0) for attempts in pipeline.execute())


def outlast(count: int, folder: Path, seconds: float) -> dict[str, Any]:
    """A receiver is down while `count` references change, and comes back; what was seen."""
    port = free_port()
    began = time.monotonic()
    with product(folder, f"http://127.0.0.1:{port}/hook", lease=60, event_workers=2) as rig:
        rig.start_workers()
        rig.await_workers()
        deliver(rig, verified(count))

        def failed_twice() -> bool:
            hurry(rig)
            time.sleep(0.5)
            return least_attempts(rig, ids) >= 2

        eventually(lambda: count_events(rig.engine) == count, seconds)
        with for_reading(rig.engine).connect() as connection:
            ids = list(connection.execute(select(effects.c.id)).scalars())
        before = memory(rig)
        eventually(failed_twice, seconds)
        down = time.monotonic() - began
        with receiving(port=port) as receiver:
            receiver.usual = slow(0.002, receiver.enqueue)
            finish(rig, seconds)
        after = memory(rig)
        heard = [message["data"]["client_reference_id"] for message in receiver.accepted]
        return {
            "lost": count - len(set(heard)),
            "twice": len(heard) - len(set(heard)),
            "most_at_once": receiver.most_at_once,
            "growth": {name: round(after[name] - before[name], 1) for name in before},
            "down": round(down),
            "seconds": round(time.monotonic() - began),
        }


@pytest.mark.timeout(1800)
@pytest.mark.soak
def test_ten_thousand_changes_outlast_a_receiver_that_is_down(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = outlast(10_000, tmp_path, 900)
    with capsys.disabled():
        print(f"\n{seen}")  # noqa: T201
    assert (seen["lost"], seen["twice"]) == (0, 0)
    assert seen["most_at_once"] <= WORKERS
    assert max(seen["growth"].values()) < 50


def test_a_standing_has_no_field_that_the_check_forgets() -> None:
    assert set(Standing("", None, None, None, 0, None, "", None)._asdict()) == {
        *("status", "session_id", "attempts", "last_error_code", "next_step", "redaction"),
        *("since", "verified_at", "version", "type", "verification_flow", "options"),
        *("attempts_counted", "attempts_granted", "verified_until"),
    }
