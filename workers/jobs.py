"""The two functions that a job may name: process an event, run an effect."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from app.domain.effects import PendingEffect
from app.domain.errors import UnknownJobFunction
from app.domain.event import SessionEvent
from app.logs import get_logger
from app.operations.apply import apply_observations
from app.queue.model import EFFECTS, EVENTS
from app.settings import Settings
from workers.context import Context
from workers.effects import EFFECT_RUNNERS

log = get_logger("jobs")


@cache
def _default_context() -> Context:
    return Context.of(Settings.from_environment(os.environ))


def process_event(event: Mapping[str, Any], context: Context | None = None) -> None:
    """Bring an enqueued event into the ledger. `event` is SessionEvent.to_dict()'s."""
    context = context or _default_context()
    observation = SessionEvent.from_dict(event).observation()
    (applied,) = apply_observations([observation], context.stores, context.now())
    log.info(
        "event " + applied.outcome,
        event_id=observation.event_id,
        type=observation.name,
        session=observation.snapshot.id,
        status=applied.standing.status if applied.standing else None,
        version=applied.standing.version if applied.standing else None,
    )


def run_effect(effect: Mapping[str, Any], context: Context | None = None) -> None:
    """Do what an event asked for. `effect` is PendingEffect.to_dict()'s."""
    context = context or _default_context()
    pending = PendingEffect(**effect)
    ledger = context.stores.ledger
    if ledger.effect_status(pending.id) != "pending":
        return  # done by a worker that died before it completed the job
    outcome = EFFECT_RUNNERS[pending.kind](pending, context)
    ledger.mark_effect(pending.id, outcome, int(context.now()))
    log.info("effect " + outcome, effect=pending.id, kind=pending.kind, session=pending.session_id)


# RQ imports whatever path it finds in Redis; we call these and nothing else.
FUNCTIONS: dict[str, Callable[[Mapping[str, Any], Context | None], None]] = {
    EVENTS.function: process_event,
    EFFECTS.function: run_effect,
}


def call(function: str, arguments: list[Any], context: Context) -> None:
    """Run a claimed job. Raises UnknownJobFunction, and calls nothing, if it is not ours."""
    if function not in FUNCTIONS or len(arguments) != 1 or not isinstance(arguments[0], dict):
        raise UnknownJobFunction("the job names a function that is not ours; it was not called")
    FUNCTIONS[function](arguments[0], context)
