"""What became of everything that was acknowledged."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from redis.exceptions import RedisError
from rq.registry import ScheduledJobRegistry
from sqlalchemy import func, select

from app.domain.errors import IdentityError
from app.ledger.engine import for_reading, translates_errors
from app.ledger.tables import effects, events, sessions, standings, timeline
from app.queue.model import EFFECTS, EVENTS
from tests.faults.rig import Rig
from tests.faults.sender import Sender
from tests.faults.stripe_stub import StripeStub
from tests.faults.traffic import Traffic

# Due so much later than now: its time has not come in any test.
FAR = 60


@dataclass
class Verdict:
    """What was found. `faults` is empty if every promise was kept."""

    kills: Counter[str]
    events: int
    acknowledged: int
    duplicates: int
    applied: int
    dead: int
    effects: Counter[str]
    lost: list[str] = field(default_factory=list)
    applied_twice: list[str] = field(default_factory=list)
    stuck: dict[str, int] = field(default_factory=dict)
    wrong_standings: list[str] = field(default_factory=list)
    broken_timelines: list[str] = field(default_factory=list)
    forgotten_effects: list[str] = field(default_factory=list)

    @property
    def faults(self) -> dict[str, Any]:
        """Each kind of fault that was found, with its place."""
        names = (
            "lost",
            "applied_twice",
            "stuck",
            "wrong_standings",
            "broken_timelines",
            "forgotten_effects",
        )
        return {name: getattr(self, name) for name in names if getattr(self, name)}

    def __str__(self) -> str:
        """The counts."""
        kills = ", ".join(f"{name} {count}" for name, count in sorted(self.kills.items()))
        done = ", ".join(f"{name} {count}" for name, count in sorted(self.effects.items()))
        return (
            f"kills: {sum(self.kills.values())} ({kills or 'none'}); events: {self.events};"
            f" acknowledged: {self.acknowledged}; duplicates seen: {self.duplicates};"
            f" applied: {self.applied}; dead letters: {self.dead}; effects: {done or 'none'};"
            f" lost: {len(self.lost)}; applied twice: {len(self.applied_twice)}"
        )


@translates_errors  # which replaces a connection that the test has cut
def _due(rig: Rig, until: float) -> set[str]:
    with for_reading(rig.engine).connect() as connection:
        query = select(effects.c.id)
        query = query.where(effects.c.status == "pending", effects.c.due <= until)
        return set(connection.execute(query).scalars())


def left(rig: Rig) -> dict[str, int]:
    """What is still to be done, by place; empty once all is quiet."""
    now = time.time()
    counts = rig.counts(EVENTS)
    found = {f"events {place}": n for place, n in counts.items() if place != "failed"}
    counts = rig.counts(EFFECTS)
    found |= {f"effects {place}": counts[place] for place in ("queued", "started")}
    scheduled = ScheduledJobRegistry.key_template.format(EFFECTS.name)
    found["effects scheduled"] = int(rig.redis.zcount(scheduled, "-inf", now + FAR))
    dead = {letter.id for letter in rig.effect_letters}
    found["effects pending"] = len(_due(rig, now + FAR) - dead)
    return {place: count for place, count in found.items() if count}


def quiet(rig: Rig, seconds: float) -> dict[str, int]:
    """Wait until nothing is left to do; returns what is left if that never comes."""
    deadline = time.monotonic() + seconds
    found: dict[str, int] = {"not asked": 1}
    while found and time.monotonic() < deadline:
        try:
            found = left(rig)
        except (IdentityError, RedisError):
            found = {"a store is away": 1}
        if found:
            time.sleep(0.1)
    return found


def judge(
    rig: Rig,
    sender: Sender,
    traffic: Traffic,
    *,
    seconds: float = 60,
    stub: StripeStub | None = None,
    replay: bool = True,
) -> Verdict:
    """Wait until all is quiet, and look at everything.

    Dead letters are counted and then replayed, as an operator would: the standings are compared
    once all has been applied.
    """
    stuck = quiet(rig, seconds)
    applied = _applied(rig)
    dead = {letter.id for letter in rig.letters}
    lost = sorted(set(sender.acknowledged) - applied - dead)
    if replay and dead and not stuck:
        rig.events.replay(sorted(dead))
        stuck = quiet(rig, seconds)
    with for_reading(rig.engine).connect() as connection:
        counted = connection.execute(
            select(effects.c.kind, effects.c.status, func.count()).group_by(
                effects.c.kind, effects.c.status
            )
        ).all()
    verdict = Verdict(
        kills=rig.kills,
        events=len(sender.sent),
        acknowledged=len(sender.acknowledged),
        duplicates=sender.duplicates,
        applied=len(_applied(rig)),
        dead=len(dead),
        effects=Counter({f"{kind} {status}": count for kind, status, count in counted}),
        lost=lost,
        stuck=stuck,
    )
    verdict.applied_twice = _applied_twice(rig, stub)
    verdict.broken_timelines = _broken_timelines(rig)
    verdict.forgotten_effects = _forgotten_effects(rig, stub)
    verdict.wrong_standings = _wrong_standings(rig, traffic)
    return verdict


def _applied(rig: Rig) -> set[str]:
    with for_reading(rig.engine).connect() as connection:
        return set(connection.execute(select(events.c.id)).scalars())


def _applied_twice(rig: Rig, stub: StripeStub | None) -> list[str]:
    """Sessions into which more was merged than their events and the answers Stripe gave of them."""
    with for_reading(rig.engine).connect() as connection:
        merged = connection.execute(select(sessions.c.id, sessions.c.observations)).all()
        told = Counter(connection.execute(select(events.c.session_id)).scalars())
    answers = stub.asked + stub.cancelled if stub is not None else Counter()
    return [id for id, count in merged if not told[id] <= count <= told[id] + answers[id]]


def _broken_timelines(rig: Rig) -> list[str]:
    """References whose lines are not versions 1, 2, …, n with each event once."""
    with for_reading(rig.engine).connect() as connection:
        stands = connection.execute(select(standings.c.key, standings.c.version)).all()
        lines = connection.execute(
            select(timeline.c.reference_key, timeline.c.version, timeline.c.event_id)
            .where(timeline.c.cause != "discarded")
            .order_by(timeline.c.id)
        ).all()
    found: dict[str, list[Any]] = defaultdict(list)
    for line in lines:
        found[line.reference_key].append(line)
    broken = []
    for key, version in stands:
        causes = [line.event_id for line in found[key] if line.event_id]
        numbered = [line.version for line in found[key]] == list(range(1, version + 1))
        if not numbered or len(causes) != len(set(causes)):
            broken.append(key)
    return broken


def _forgotten_effects(rig: Rig, stub: StripeStub | None) -> list[str]:
    """Effects that are due and not done, that wait nowhere, or are marked done and were not."""
    dead = {letter.id for letter in rig.effect_letters}
    registry = ScheduledJobRegistry.key_template.format(EFFECTS.name)
    scheduled: Any = rig.redis.zrange(registry, 0, -1)
    waiting = {id.decode() for id in scheduled}
    with for_reading(rig.engine).connect() as connection:
        rows = connection.execute(select(effects)).all()
    forgotten = []
    for row in rows:
        if row.status == "pending":
            held = row.id in waiting or row.id in dead or row.enqueued_at is None
            late = row.due <= time.time() and row.id not in dead
            fine = held and not late
        else:
            asked = row.kind != "cancel" or stub is None or stub.cancelled[row.session_id] > 0
            fine = row.status in ("done", "dropped") and asked
        if not fine:
            forgotten.append(row.id)
    return forgotten


def _wrong_standings(rig: Rig, traffic: Traffic) -> list[str]:
    with for_reading(rig.engine).connect() as connection:
        rows = connection.execute(select(standings)).all()
    found = {row.client_reference_id: row for row in rows}
    wrong = []
    for reference, expected in traffic.truths().items():
        row = found.get(reference)
        stands = None if row is None else {name: getattr(row, name) for name in expected}
        if stands != expected:
            wrong.append(f"{reference}: {stands} and not {expected}")
    return wrong
