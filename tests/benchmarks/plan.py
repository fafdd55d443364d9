"""How much is measured: one tiny round, the usual, or everything."""

from __future__ import annotations

from dataclasses import dataclass, replace

PARTS = ("ingest", "hostile", "drain", "latency", "idle", "growth", "replay", "catch-up")


@dataclass(frozen=True)
class Plan:
    """The sizes of one run. Times are in seconds."""

    rounds: int
    ingest_seconds: int
    connections: tuple[int, ...]
    crowd: tuple[int, int]  # idle and dripping connections of hostile
    fsyncs: tuple[str, ...]  # Valkey's appendfsync
    drain_sessions: int  # four events each
    drain_sessions_of_rq: int  # it forks for each job: fewer tell as much
    workers: tuple[int, ...]
    latency: tuple[tuple[int, float], ...]  # events a second, and for how long
    idle_seconds: float
    growth_sizes: tuple[int, ...]
    growth_events: int  # so many that a hundredth of a second, which CPU is counted by, is little
    dead_letters: int
    missed_sessions: int  # that Stripe lists, and no webhook told of


NORMAL = Plan(
    rounds=5,
    ingest_seconds=3,
    connections=(16, 64),
    crowd=(2_000, 200),
    fsyncs=("everysec", "always"),
    drain_sessions=2_000,
    drain_sessions_of_rq=100,
    workers=(1, 2),
    latency=((1, 10.0), (50, 5.0), (200, 5.0)),
    idle_seconds=20.0,
    growth_sizes=(1_000, 100_000),
    growth_events=20_000,
    dead_letters=20_000,
    missed_sessions=20_000,
)
FULL = replace(NORMAL, growth_sizes=(1_000, 100_000, 1_000_000), dead_letters=100_000)
QUICK = Plan(
    rounds=1,
    ingest_seconds=1,
    connections=(16,),
    crowd=(100, 10),
    fsyncs=("everysec",),
    drain_sessions=400,
    drain_sessions_of_rq=6,
    workers=(1,),
    latency=((50, 0.6),),
    idle_seconds=1.0,
    growth_sizes=(800, 1_200),
    growth_events=800,
    dead_letters=1_000,  # fewer would all be done before the first look
    missed_sessions=60,
)
