"""What became of everything that was acknowledged."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from redis.exceptions import RedisError
from rq.registry import ScheduledJobRegistry
from sqlalchemy import Engine, func, select

from app.domain.errors import IdentityError
from app.ledger.engine import for_reading, translates_errors
from app.ledger.tables import effects, events, sessions, standings, timeline
from app.queue.model import EFFECTS, EVENTS
from tests.faults.observer import Observer
from tests.faults.sender import Sender
from tests.faults.stripe_stub import StripeStub
from tests.faults.traffic import Traffic

# Seconds after a run: what is due later, as the second look at what is processing, is not waited
# for. A long run's second looks become due without end.
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
def _due(engine: Engine, after: float, until: float) -> set[str]:
    with for_reading(engine).connect() as connection:
        query = select(effects.c.id).where(effects.c.status == "pending")
        query = query.where(effects.c.due > after, effects.c.due <= until)
        return set(connection.execute(query).scalars())


def left(rig: Observer, until: float) -> dict[str, int]:
    """What of all that is due until then is still to be done, by place; empty once that is done."""
    counts = rig.counts(EVENTS)
    found = {f"events {place}": n for place, n in counts.items() if place != "failed"}
    scheduled = ScheduledJobRegistry.key_template.format(EFFECTS.rq_name)
    found["effects scheduled"] = int(rig.redis.zcount(scheduled, "-inf", until))
    dead = {letter.id for letter in rig.effect_letters}
    found["effects pending"] = len(_due(rig.engine, 0, until) - dead)
    if not _due(rig.engine, until, time.time()):  # else the queue may hold those
        counts = rig.counts(EFFECTS)
        found |= {f"effects {place}": counts[place] for place in ("queued", "started")}
    return {place: count for place, count in found.items() if count}


def quiet(rig: Observer, seconds: float, until: float) -> dict[str, int]:
    """Wait until all that is due until then is done; returns what is left if that never comes."""
    deadline = time.monotonic() + seconds
    found: dict[str, int] = {"not asked": 1}
    while found and time.monotonic() < deadline:
        try:
            found = left(rig, until)
        except (IdentityError, RedisError):
            found = {"a store is away": 1}
        if found:
            time.sleep(0.1)
    return found


def judge(
    rig: Observer,
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
    until = time.time() + FAR
    stuck = quiet(rig, seconds, until)
    applied = _applied(rig)
    dead = {letter.id for letter in rig.letters}
    lost = sorted(set(sender.acknowledged) - applied - dead)
    if replay and dead and not stuck:
        rig.events.replay(sorted(dead))
        stuck = quiet(rig, seconds, until)
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
    verdict.forgotten_effects = _forgotten_effects(rig, stub, until)
    verdict.wrong_standings = _wrong_standings(rig, traffic)
    return verdict


def _applied(rig: Observer) -> set[str]:
    with for_reading(rig.engine).connect() as connection:
        return set(connection.execute(select(events.c.id)).scalars())


def _applied_twice(rig: Observer, stub: StripeStub | None) -> list[str]:
    """Sessions into which more was merged than their events and the answers Stripe gave of them."""
    with for_reading(rig.engine).connect() as connection:
        merged = connection.execute(select(sessions.c.id, sessions.c.observations)).all()
        told = Counter(connection.execute(select(events.c.session_id)).scalars())
    answers = stub.asked + stub.cancelled if stub is not None else Counter()
    return [id for id, count in merged if not told[id] <= count <= told[id] + answers[id]]


def _broken_timelines(rig: Observer) -> list[str]:
    """References whose lines do not rise in version to the standing, each event once."""
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
        versions = [line.version for line in found[key]]
        # A standing of version 0 was never seen: it has no lines but those of discarded letters.
        in_order = versions == sorted(set(versions)) and (versions or [0])[-1] == version
        if not in_order or len(causes) != len(set(causes)):
            broken.append(key)
    return broken


def _forgotten_effects(rig: Observer, stub: StripeStub | None, until: float) -> list[str]:
    """Effects due until then and not done, that wait nowhere, or are marked done and were not."""
    dead = {letter.id for letter in rig.effect_letters}
    with for_reading(rig.engine).connect() as connection:
        rows = connection.execute(select(effects)).all()
    pending = [row.id for row in rows if row.status == "pending"]
    # Read after the rows: a job that is not done is in one of its places since before.
    jobs = rig.effects.statuses(pending)
    forgotten = []
    for row in rows:
        if row.status == "pending":
            # Done since the rows were read, a job has finished.
            held = jobs[row.id] is not None or row.enqueued_at is None
            late = row.due <= until and row.id not in dead
            fine = held and not late
        else:
            asked = row.kind != "cancel" or stub is None or stub.cancelled[row.session_id] > 0
            fine = row.status in ("done", "dropped") and asked
        if not fine:
            forgotten.append(row.id)
    return forgotten


def _wrong_standings(rig: Observer, traffic: Traffic) -> list[str]:
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
