"""The way of an event as a strip of stages: the state of each, and the age of its oldest."""

from __future__ import annotations

from typing import NamedTuple

from app.domain.overview import CLOCK_LATE, LATE, VERY_LATE, Facts, Kind, QueueFacts
from app.domain.verdict import words_of

UNKNOWN = "not known"


class Stage(NamedTuple):
    """One stage of the way from Stripe to the team's system."""

    name: str
    word: str  # its state, to be read by itself
    kind: Kind
    age: float | None = None  # seconds; None: there is nothing whose age would tell something
    age_of: str = ""  # whose age it is


def stages(facts: Facts) -> tuple[Stage, ...]:
    """All six, in the order in which an event passes them."""
    return (
        _stripe(facts),
        _web(facts),
        _queue(facts),
        _workers(facts),
        _ledger(facts),
        _system(facts),
    )


def _stripe(facts: Facts) -> Stage:
    name = "Stripe"
    if facts.stripe_rests:
        return Stage(name, "does not answer", "bad")
    if facts.ledger_fault:
        return Stage(name, UNKNOWN, "off")
    if facts.last_event is None:
        return Stage(name, "no event yet", "off")
    return Stage(name, "sends events", "ok", _since(facts, facts.last_event), "last event")


def _web(facts: Facts) -> Stage:
    name = "web"
    if facts.redis_fault:
        return Stage(name, "takes nothing", "bad")
    if not facts.last_delivery:
        word = UNKNOWN if facts.last_delivery is None else "no delivery yet"
        return Stage(name, word, "off")
    age = _since(facts, facts.last_delivery)
    return Stage(name, "takes deliveries", "ok", age, "last delivery")


def _queue(facts: Facts) -> Stage:
    name, queue = "queue", facts.events
    if facts.redis_fault:
        return Stage(name, "away", "bad")
    if queue is None:
        return Stage(name, UNKNOWN, "off")
    if queue.deferred.count.number:
        word = f"{queue.deferred.count} failed, tried again"
        return Stage(name, word, _by_age(queue.waits, "warn"), queue.waits, "oldest")
    if not queue.queued:
        return Stage(name, "empty", "ok")
    kind = _by_age(queue.oldest, "ok")
    word = f"{queue.queued:,} {'wait' if kind == 'ok' else 'are late'}"
    return Stage(name, word, kind, queue.oldest, "oldest")


def _workers(facts: Facts) -> Stage:
    name, events, effects = "workers", facts.events, facts.effects
    if events is None or effects is None:
        return Stage(name, UNKNOWN, "off")
    without = [
        what for what, queue in (("events", events), ("effects", effects)) if not queue.workers
    ]
    if without:
        return Stage(name, f"none for {' and '.join(without)}", "bad")
    if facts.paused:
        return Stage(name, "paused", "warn")
    overdue = max(events.overdue, effects.overdue)
    if overdue >= CLOCK_LATE:
        return Stage(name, "no clock runs", "bad", overdue, "longest due")
    return Stage(name, f"{events.workers + effects.workers} run", "ok")


def _ledger(facts: Facts) -> Stage:
    if facts.ledger_fault:
        return Stage("ledger", "away", "bad")
    return Stage("ledger", "answers", "ok")


def _system(facts: Facts) -> Stage:
    name, effects = "your system", facts.effects
    states = {state for _, state in facts.receivers}
    if "gone" in states:
        return Stage(name, "answered 410", "bad")
    if "rests" in states:
        return Stage(name, "slow to fail", "bad", *_oldest(effects))
    if effects is None:
        return Stage(name, UNKNOWN, "off")
    if effects.deferred.count.number:
        word = f"{effects.deferred.count} failed, tried again"
        return Stage(name, word, _by_age(effects.waits, "warn"), *_oldest(effects))
    if effects.queued and effects.oldest >= LATE:
        return Stage(name, "told late", _by_age(effects.oldest, "warn"), *_oldest(effects))
    if not facts.receivers:
        return Stage(name, "nobody is told", "off")
    return Stage(name, "told", "ok", *_oldest(effects))


def _oldest(queue: QueueFacts | None) -> tuple[float | None, str]:
    """The age of the longest waiting, and what to call it."""
    return (queue.waits, "oldest") if queue is not None and queue.waiting else (None, "")


def _by_age(seconds: float, otherwise: Kind) -> Kind:
    if seconds >= VERY_LATE:
        return "bad"
    return "warn" if seconds >= LATE else otherwise


def _since(facts: Facts, moment: int) -> float:
    return max(0.0, facts.now - moment)


def describe(stage: Stage) -> str:
    """`sends events (last event 4 s ago)`: a stage in one line."""
    if stage.age is None:
        return stage.word
    ago = " ago" if stage.age_of.startswith("last") else ""
    return f"{stage.word} ({stage.age_of} {words_of(stage.age)}{ago})"
