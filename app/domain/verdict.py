"""Whether users are being verified, and if not, why: in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from app.domain.durations import DAY, HOUR, MINUTE
from app.domain.overview import CLOCK_LATE, LATE, VERY_LATE, Facts, Kind, QueueFacts

# Seconds after which "users are being verified" would be a guess: nobody has been for so long.
QUIET = DAY


class Verdict(NamedTuple):
    """The sentence, and what stands behind it, which changes from second to second."""

    kind: Kind
    sentence: str
    detail: str = ""

    def __str__(self) -> str:
        """All of it."""
        return f"{self.sentence} {self.detail}".strip()


def judge(facts: Facts) -> Verdict:
    """The verdict: the first of what is wrong that explains most, else that all is well."""
    for look in _LOOKS:
        found = look(facts)
        if found is not None:
            return found
    return _all_is_well(facts)


def _redis(facts: Facts) -> Verdict | None:
    if not facts.redis_fault:
        return None
    sentence = "No delivery is taken: Redis is away. Stripe sends each again, for three days."
    return Verdict("bad", sentence, f"{facts.redis_fault}.")


def _ledger(facts: Facts) -> Verdict | None:
    if not facts.ledger_fault:
        return None
    detail = f"{facts.ledger_fault}."
    if facts.events and facts.events.waiting:
        return Verdict("bad", f"{_who_lags(facts, facts.events)}: the ledger is away.", detail)
    return Verdict("bad", "Nobody's standing can be read or changed: the ledger is away.", detail)


def _workers(facts: Facts) -> Verdict | None:
    events = facts.events
    if events is None or (events.workers and not facts.paused):
        return None
    why = "the workers are paused" if events.workers else "no worker runs"
    if events.waiting:
        return Verdict("bad", f"{_who_lags(facts, events)}: {why}.")
    kind: Kind = "warn" if events.workers else "bad"
    return Verdict(kind, f"Nobody is verified while {why}. No event waits.")


def _events(facts: Facts) -> Verdict | None:
    """Events that fail and are tried again, or that nobody takes in time."""
    events = facts.events
    if events is None:
        return None
    deferred = events.deferred
    if deferred.count.number and deferred.seconds >= LATE:
        why = f"{deferred.count} of their events failed and are tried again"
        kind: Kind = "bad" if deferred.seconds >= VERY_LATE else "warn"
        return Verdict(kind, f"{_who_lags(facts, events)}: {why} ({deferred.reason}).")
    if events.queued and events.oldest >= LATE:
        kind = "bad" if events.oldest >= VERY_LATE else "warn"
        detail = f"{_events_wait(events)}, the oldest for {words_of(events.oldest)}."
        return Verdict(kind, f"{_who_lags(facts, events)}: the workers are behind.", detail)
    return None


def _receivers(facts: Facts) -> Verdict | None:
    """What of your system is not told."""
    gone = [name for name, state in facts.receivers if state == "gone"]
    if gone:
        sentence = f"Users are verified, but your {gone[0]} is told nothing: it answered 410."
        return Verdict("bad", sentence)
    effects = facts.effects
    resting = [name for name, state in facts.receivers if state == "rests"]
    if effects is None or not (resting or effects.waits >= LATE):
        return None
    kind: Kind = "bad" if effects.waits >= VERY_LATE else "warn"
    if facts.receivers:
        sentence = "Users are verified, but your system is told late."
    else:
        sentence = "Users are verified, but what follows from it is late."
    return Verdict(kind, sentence, _effects_wait(effects, resting))


def _clock(facts: Facts) -> Verdict | None:
    late = max((queue.overdue for queue in (facts.events, facts.effects) if queue), default=0)
    if late < CLOCK_LATE:
        return None
    why = f"no clock has moved what is due for {words_of(late)}"
    return Verdict("bad", f"Users are verified, but {why}.", "Start `python -m workers`.")


def _stripe(facts: Facts) -> Verdict | None:
    if not facts.stripe_rests:
        return None
    return Verdict("warn", "Users are verified, but Stripe does not answer our questions.")


def _dead_letters(facts: Facts) -> Verdict | None:
    dead = sum(queue.dead for queue in (facts.events, facts.effects) if queue)
    if not dead:
        return None
    what = "a dead letter waits" if dead == 1 else f"{dead:,} dead letters wait"
    return Verdict("warn", f"Users are being verified, but {what} for a person.", _last(facts))


_LOOKS: tuple[Callable[[Facts], Verdict | None], ...] = (
    _redis,
    _ledger,
    _workers,
    _events,
    _receivers,
    _clock,
    _stripe,
    _dead_letters,
)


def _all_is_well(facts: Facts) -> Verdict:
    if facts.last_event is None:
        return Verdict("warn", "No event has come from Stripe yet.", "Nothing waits.")
    if facts.now - facts.last_event >= QUIET:
        return Verdict("ok", "All that Stripe has told is in the ledger.", _last(facts))
    return Verdict("ok", "Users are being verified.", _last(facts))


def _last(facts: Facts) -> str:
    """Such as `Last event 4 s ago; nothing waits`, as a sentence."""
    waits = "nothing waits"
    if facts.events is not None and facts.events.queued:
        waits = _events_wait(facts.events)
    if facts.last_event is None:
        return f"{waits[:1].upper()}{waits[1:]}."
    return f"Last event {words_of(facts.now - facts.last_event)} ago; {waits}."


def _events_wait(events: QueueFacts) -> str:
    return "1 event waits" if events.queued == 1 else f"{events.queued:,} events wait"


def _effects_wait(effects: QueueFacts, resting: list[str]) -> str:
    parts = []
    if resting:
        parts.append(f"{' and '.join(resting)} was slow to fail, and is left alone for a while")
    if effects.deferred.count.number:
        reason = f"({effects.deferred.reason})"
        parts.append(f"{effects.deferred.count} effects failed and are tried again {reason}")
    if _is_late(effects):
        parts.append(f"{effects.queued:,} wait, the oldest for {words_of(effects.oldest)}")
    told = "; ".join(parts)
    return f"{told[:1].upper()}{told[1:]}."


def _is_late(queue: QueueFacts) -> bool:
    return bool(queue.queued and queue.oldest >= LATE)


def _who_lags(facts: Facts, events: QueueFacts) -> str:
    """`37 users lag behind Stripe since 14:02 UTC`; events, where they name nobody."""
    since = moment_words(facts.now - events.waits, facts.now)
    number = facts.lagging.number
    if number:
        users = "user lags" if number == 1 and not facts.lagging.more else "users lag"
        return f"{facts.lagging} {users} behind Stripe since {since}"
    verb = "event lags" if events.waiting == 1 else "events lag"
    return f"{events.waiting:,} {verb} behind Stripe since {since}"


def moment_words(moment: float, now: float) -> str:
    """`14:02 UTC`, with how many days ago if that is not today. Both are Unix seconds."""
    minute = int(moment) // MINUTE
    at = f"{minute // 60 % 24:02}:{minute % 60:02} UTC"
    days = int(now) // DAY - int(moment) // DAY
    if days < 1:
        return at
    return f"{at} yesterday" if days == 1 else f"{at} {days:,} days ago"


def words_of(seconds: float) -> str:
    """`4 s`, `7 min`, `3 h` or `2 d`, rounded down; nothing is younger than 0 s."""
    whole = max(0, int(seconds))
    if whole < 2 * MINUTE:
        return f"{whole} s"
    if whole < 2 * HOUR:
        return f"{whole // MINUTE} min"
    return f"{whole // HOUR} h" if whole < 2 * DAY else f"{whole // DAY} d"
