"""The whole of it, kept for some seconds for all who ask; and as JSON."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from app.domain.funnel import Funnel
from app.domain.modes import mode_name
from app.domain.overview import Facts
from app.domain.strip import Stage, stages
from app.domain.verdict import Verdict, judge
from app.ledger.attention import Attention, LatestChange
from app.ledger.week import Week, read_week
from app.operations.dlq.documents import preview_as_json
from app.operations.dlq.preview import Preview, preview
from app.operations.overview.facts import SPECS, read_facts
from app.operations.overview.needs import LOOKED_AT, Need, read_needs, reference_as_json
from app.operations.overview.reading import LEDGER, REDIS, Faults, Kept
from app.queue.dead_letters import DeadLetter
from app.queue.model import EVENTS
from app.stores import Stores

# Seconds for which a reading is kept, so that fifty viewers cost the reads of one: what is live,
# and what takes longer to read.
LIVE_KEPT, REST_KEPT = 2.0, 10.0
# Lines of the timeline that are shown, the newest.
LATEST = 20
# Dead letters whose users' standings are looked up, the newest, and users that are shown of them.
PREVIEWED, HIT = 100, 20


@dataclass(frozen=True, slots=True)
class Live:
    """What changes from second to second."""

    at: float  # Unix seconds
    facts: Facts
    verdict: Verdict
    stages: Sequence[Stage]
    changes: Sequence[LatestChange] | None  # None: the ledger is away


@dataclass(frozen=True, slots=True)
class Hit:
    """Users of dead letters: how they stand, and how they would after a replay."""

    users: Sequence[Preview] = ()  # those whose standing would change first
    more: bool = False  # there may be more


@dataclass(frozen=True, slots=True)
class Rest:
    """What changes more slowly; None is what could not be read."""

    at: float
    needs: Sequence[Need]
    hit: Hit | None
    week: Week | None
    faults: Sequence[str]


class Overview:
    """How the whole deployment stands. Threads may share one: they then share its readings."""

    def __init__(
        self,
        stores: Stores,
        now: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`now` gives Unix seconds, `monotonic` seconds."""
        self._stores = stores
        self._now = now
        self._live = Kept(self._read_live, LIVE_KEPT, monotonic)
        self._rest = Kept(self._read_rest, REST_KEPT, monotonic)

    @property
    def livemode(self) -> bool:
        """The mode of what is counted by mode."""
        return self._stores.settings.livemode

    def live(self) -> Live:
        """What changes from second to second. A store that is away is told in it, not raised."""
        return self._live.get()

    def rest(self) -> Rest:
        """What changes more slowly. A store that is away is told in it, not raised."""
        return self._rest.get()

    def as_json(self) -> dict[str, Any]:
        """All of it for programs. Times are Unix seconds."""
        live, rest = self.live(), self.rest()
        faults = (live.facts.redis_fault, live.facts.ledger_fault, *rest.faults)
        return {
            "at": int(live.at),
            "mode": mode_name(self.livemode),
            "verdict": {"kind": live.verdict.kind, "text": str(live.verdict)},
            "stages": [stage_as_json(stage) for stage in live.stages],
            "needs": [need.as_json() for need in rest.needs],
            "hit": None if rest.hit is None else hit_as_json(rest.hit),
            "week": None if rest.week is None else week_as_json(rest.week),
            "changes": None if live.changes is None else list(map(change_as_json, live.changes)),
            "unread": list(dict.fromkeys(fault for fault in faults if fault)),
        }

    def _read_live(self) -> Live:
        now, faults = self._now(), Faults()
        changes = faults.read(LEDGER, lambda: Attention(self._stores.engine).latest_changes(LATEST))
        facts = read_facts(self._stores, now, faults)
        return Live(now, facts, judge(facts), stages(facts), changes)

    def _read_rest(self) -> Rest:
        stores, now, faults = self._stores, self._now(), Faults()
        letters = faults.read(REDIS, lambda: {s.name: _newest(stores, s.name) for s in SPECS}) or {}
        needs = read_needs(stores, letters, now, faults)
        hit = None
        if letters:
            hit = faults.read(LEDGER, lambda: self._read_hit(letters[EVENTS.name], now))
        week = faults.read(LEDGER, lambda: read_week(stores.engine, self.livemode, int(now)))
        return Rest(now, needs, hit, week, faults.lines())

    def _read_hit(self, letters: Sequence[DeadLetter], now: float) -> Hit:
        looked_at = list(islice(letters, PREVIEWED))
        found = preview(looked_at, self._stores.ledger, int(now))
        users = sorted(
            (one for one in found if one.reference is not None), key=lambda one: not one.changes
        )
        more = len(letters) > len(looked_at) or len(users) > HIT
        return Hit(users[:HIT], more)


def _newest(stores: Stores, queue: str) -> list[DeadLetter]:
    """The newest dead letters of a queue, as many as are looked at."""
    page = stores.dead_letters(queue).page(None, LOOKED_AT)
    return [letter for _, letter in page if letter is not None]


def stage_as_json(stage: Stage) -> dict[str, Any]:
    """One stage of the strip."""
    age = None if stage.age is None else round(stage.age, 1)
    return {
        "name": stage.name,
        "state": stage.word,
        "kind": stage.kind,
        "age_seconds": age,
        "age_of": stage.age_of or None,
    }


def hit_as_json(hit: Hit) -> dict[str, Any]:
    """Who is hit: how they stand, and how they would after a replay."""
    return {"users": [preview_as_json(one) for one in hit.users], "more": hit.more}


def week_as_json(week: Week) -> dict[str, Any]:
    """The steps of the last 24 hours and 7 days."""
    return {
        "counted_since": week.since or None,
        "counted_until": week.until,
        "last_24_hours": asdict(Funnel.of(week.day)),
        "last_7_days": asdict(Funnel.of(week.week)),
    }


def change_as_json(change: LatestChange) -> dict[str, Any]:
    """A line of a timeline, and whose it is."""
    of = None if change.reference is None else reference_as_json(change.reference)
    return {"id": change.id, "reference": of, **change.line._asdict()}
