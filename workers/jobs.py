"""The two functions that a job may name: process an event, run an effect."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from app.domain.effects import PendingEffect
from app.domain.errors import UnknownJobFunction
from app.domain.event import SessionEvent
from app.domain.reconcile import Applied
from app.domain.session import Observation
from app.logs import get_logger
from app.operations.apply import apply_observations
from app.queue.model import EFFECTS, EVENTS, Call
from app.settings import Settings
from workers.context import Context
from workers.effects import EFFECT_RUNNERS

log = get_logger("jobs")


@cache
def _default_context() -> Context:
    return Context.of(Settings.from_environment(os.environ))


def process_event(event: list[Any], context: Context | None = None) -> None:
    """Bring an enqueued event into the ledger. `event` is SessionEvent.pack()'s."""
    process_events([event], context)


def process_events(events: Sequence[list[Any]], context: Context | None = None) -> None:
    """Bring events into the ledger in one transaction: all of them, or none."""
    context = context or _default_context()
    observations = [SessionEvent.unpack(event).observation() for event in events]
    applied = apply_observations(observations, context.stores, context.now())
    if len(events) == 1:
        _log_event(observations[0], applied[0])
    else:
        outcomes = Counter(one.outcome for one in applied)
        log.info(
            "events processed",
            applied=outcomes["applied"],
            duplicates=outcomes["duplicate"],
            event_ids=[one.event_id for one in observations],
        )


def _log_event(observation: Observation, applied: Applied) -> None:
    log.info(
        "event " + applied.outcome,
        event_id=observation.event_id,
        type=observation.name,
        session=observation.snapshot.id,
        status=applied.standing.status if applied.standing else None,
        version=applied.standing.version if applied.standing else None,
    )


def run_effect(effect: list[Any], context: Context | None = None) -> None:
    """Do what an event asked for. `effect` is PendingEffect.pack()'s."""
    context = context or _default_context()
    pending = PendingEffect.unpack(effect)
    ledger = context.stores.ledger
    if ledger.effect_status(pending.id) != "pending":
        return  # done by a worker that died before it completed the job
    outcome = EFFECT_RUNNERS[pending.kind](pending, context)
    ledger.mark_effect(pending.id, outcome, int(context.now()))
    log.info("effect " + outcome, effect=pending.id, kind=pending.kind, session=pending.session_id)


# RQ imports whatever path it finds in Redis; we call these and nothing else.
FUNCTIONS: dict[str, Callable[[list[Any], Context | None], None]] = {
    EVENTS.function: process_event,
    EFFECTS.function: run_effect,
}


def call(calls: Sequence[Call], context: Context) -> None:
    """Run claimed jobs: one, or several events together, which stand or fall as one.

    Raises UnknownJobFunction, and calls nothing, if one is not ours.
    """
    for function, arguments in calls:
        if function not in FUNCTIONS or len(arguments) != 1 or not isinstance(arguments[0], list):
            raise UnknownJobFunction("the job names a function that is not ours; it was not called")
    if len(calls) == 1:
        ((function, arguments),) = calls
        FUNCTIONS[function](arguments[0], context)
    elif any(function != EVENTS.function for function, _ in calls):
        raise UnknownJobFunction("only events are processed together; none was called")
    else:
        process_events([arguments[0] for _, arguments in calls], context)
