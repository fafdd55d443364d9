"""The two functions that a job may name: process an event, run an effect."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from app.configuration.settings import LEDGER_NEEDS, Settings
from app.domain.effects import TO_BE_DONE, PendingEffect
from app.domain.errors import LaterRelease, UnknownJobFunction
from app.domain.event import PACKED_FIELDS, SessionEvent
from app.domain.reconcile import Applied
from app.domain.session import Observation
from app.domain.thin_event import THIN_FIELDS, ThinEvent
from app.logs import get_logger
from app.operations.apply import apply_observations
from app.operations.own_account import OwnAccounts
from app.operations.retrieve_sessions import retrieve_sessions
from app.queue.model import EFFECTS, EVENTS, Call
from workers.context import Context
from workers.effects import EFFECT_RUNNERS

log = get_logger("jobs")

ACCOUNT = PACKED_FIELDS.index("account")


@cache
def _default_context() -> Context:
    return Context.of(Settings.from_environment(os.environ, needed=LEDGER_NEEDS))


def process_event(event: list[Any], context: Context | int | None = None) -> None:
    """Bring an enqueued event into the ledger. `event` is SessionEvent.pack()'s.

    RQ's own worker, which knows no context, gives the payload's FORMAT in its place.
    """
    process_events([event], context if isinstance(context, Context) else None)


def process_events(events: Sequence[list[Any]], context: Context | None = None) -> None:
    """Bring events into the ledger in one transaction: all of them, or none.

    A thin event asks for an effect, which waits for Stripe, and no other event waits with it.
    """
    context = context or _default_context()
    if any(len(event) > ACCOUNT and event[ACCOUNT] for event in events):
        own = OwnAccounts(context.stores.ledger.cursors)
        events = [_with_own_account(event, own) for event in events]
    thin = [ThinEvent.unpack(event) for event in events if len(event) == len(THIN_FIELDS)]
    if thin:
        retrieve_sessions(thin, context.stores, context.now())
        log.info("sessions are to be retrieved", event_ids=[event.id for event in thin])
        events = [event for event in events if len(event) != len(THIN_FIELDS)]
        if not events:
            return
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


def _with_own_account(event: list[Any], own: OwnAccounts) -> list[Any]:
    """An event of an organization's that names our own account, as any other of it."""
    match event[ACCOUNT : ACCOUNT + 2]:
        case [str(account), bool(livemode)] if account and not own.name(account, livemode):
            return [*event[:ACCOUNT], "", *event[ACCOUNT + 1 :]]
    return event


def _log_event(observation: Observation, applied: Applied) -> None:
    log.info(
        "event processed",
        outcome=applied.outcome,
        event_id=observation.event_id,
        type=observation.name,
        session_id=observation.snapshot.id,
        status=applied.standing.status if applied.standing else None,
        version=applied.standing.version if applied.standing else None,
    )


def run_effect(effect: list[Any], context: Context | int | None = None) -> None:
    """Do what an event asked for. `effect` is PendingEffect.pack()'s; else as `process_event`."""
    context = context if isinstance(context, Context) else _default_context()
    pending = PendingEffect.unpack(effect)
    ledger = context.stores.ledger
    if ledger.effect_status(pending.id) not in TO_BE_DONE:
        return  # done by a worker that died before it completed the job
    runner = EFFECT_RUNNERS.get(pending.kind)
    if runner is None:
        raise LaterRelease(f"no effect of the kind {pending.kind[:40]!r} is known to this release")
    outcome = runner(pending, context)
    ledger.mark_effects([pending.id], outcome, int(context.now()))
    log.info(
        "effect processed",
        outcome=outcome,
        effect_id=pending.id,
        kind=pending.kind,
        session_id=pending.session_id,
    )


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
