"""What Stripe sends: whole histories of references, duplicated and shuffled, from a seed."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from tests.properties.lives import CODES, Step, truth
from tests.support.events import event_body

# Yesterday: the clock forgets events that Stripe has forgotten, after thirty days.
BEGAN = int(time.time()) - 86_400
# How far, in events, a delivery comes before or after its place.
SHUFFLE = 40
DUPLICATES = 0.2


@dataclass(frozen=True)
class Event:
    """One event of Stripe's, before it is signed."""

    id: str
    reference: str
    step: Step

    @property
    def body(self) -> bytes:
        """What is delivered; built when it is needed, as many are held at once."""
        step = self.step
        return json.dumps(
            event_body(
                step.name,
                step.status,
                id=self.id,
                at=step.at,
                session=step.session,
                reference=self.reference,
                **step.fields(),
            )
        ).encode()


@dataclass(frozen=True)
class Traffic:
    """Histories by reference, and the order in which their events are delivered."""

    lives: dict[str, list[Step]]
    deliveries: list[Event] = field(repr=False)

    @cached_property
    def events(self) -> dict[str, Event]:
        """Each event once, by its id."""
        return {event.id: event for event in self.deliveries}

    def opened(self) -> dict[str, int]:
        """When each session was opened."""
        return {step.session: step.opened for life in self.lives.values() for step in life}

    def truths(self) -> dict[str, dict[str, Any]]:
        """What each reference's standing must be, by the model that knows nothing of ours."""
        return {reference: truth(life) for reference, life in self.lives.items()}


def traffic(references: int, seed: int, prefix: str = "") -> Traffic:
    """`references` histories, about nine events each; a fifth of the events is delivered twice."""
    draw = random.Random(seed)
    lives = {
        f"{prefix}user-{number}": life(draw, f"{prefix}{number}") for number in range(references)
    }
    events = [event_of(name, step) for name, steps in lives.items() for step in steps]
    events.sort(key=lambda event: event.step.at)
    placed = [(place + draw.uniform(0, SHUFFLE), event) for place, event in enumerate(events)]
    placed += [
        (place + draw.uniform(0, 4 * SHUFFLE), event)
        for place, event in enumerate(events)
        if draw.random() < DUPLICATES
    ]
    placed.sort(key=lambda pair: pair[0])
    return Traffic(lives, [event for _, event in placed])


def event_of(reference: str, step: Step) -> Event:
    """The event that reports a step."""
    return Event(f"evt_{step.session}_{step.at}", reference, step)


def life(draw: random.Random, name: str) -> list[Step]:
    """One to three sessions of a reference, interleaved; no two steps in one second."""
    waiting = [session(draw, f"vs_{name}_{number}") for number in range(draw.randint(1, 3))]
    now, steps = BEGAN + draw.randint(0, 20_000), []
    opened: dict[str, int] = {}
    while waiting:
        chosen = draw.choice(waiting)
        now += draw.randint(1, 60)
        step = chosen.pop(0)
        opened.setdefault(step.session, now)
        steps.append(replace(step, at=now, opened=opened[step.session]))
        waiting = [left for left in waiting if left]
    return steps


def session(draw: random.Random, id: str) -> list[Step]:
    """created → [processing → fails | verified]* → maybe canceled, maybe redacted."""
    steps = [Step(id, "created", "requires_input")]
    for attempt in range(draw.randint(0, 3)):
        report = f"vr_{id}_{attempt}"
        steps.append(Step(id, "processing", "processing"))
        if draw.random() < 0.5:
            steps.append(Step(id, "verified", "verified", None, report))
            break
        code = draw.choice(CODES)
        steps.append(Step(id, "requires_input", "requires_input", code, report))
    last = steps[-1]
    if last.status == "requires_input" and draw.random() < 0.3:
        last = Step(id, "canceled", "canceled", last.code, last.report)
        steps.append(last)
    if draw.random() < 0.3:
        steps.append(Step(id, "redacted", last.status, last.code, last.report, "redacted"))
    return steps


def opening(number: int, prefix: str = "one") -> Event:
    """One event by itself: a session is opened."""
    at = BEGAN + number
    step = Step(f"vs_{prefix}_{number}", "created", "requires_input", at=at, opened=at)
    return event_of(f"{prefix}-{number}", step)


def openings(count: int, prefix: str = "one") -> Traffic:
    """`count` references whose session is opened, each event delivered once."""
    return of(opening(number, prefix) for number in range(count))


def of(events: Iterable[Event]) -> Traffic:
    """These events, in this order."""
    lives: dict[str, list[Step]] = {}
    deliveries = list(events)
    for event in deliveries:
        lives.setdefault(event.reference, []).append(event.step)
    return Traffic(lives, deliveries)
