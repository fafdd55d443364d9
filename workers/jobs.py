"""The two functions that a job may name: process an event, run an effect."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from app.domain.effects import EffectRow
from app.domain.errors import UnknownJobFunction
from app.domain.event import SessionEvent
from app.domain.session import Observation
from app.ledger.engine import open_engine
from app.ledger.ledger import Ledger
from app.ledger.telling import Telling
from app.ledger.transaction import Applied
from app.logs import get_logger
from app.operations.tell import Receivers
from app.queue.connection import open_redis
from app.queue.jobs import JobQueue
from app.queue.model import EFFECTS, EVENTS, effect_job
from app.settings import Settings
from app.stripe_api import StripeApi, open_stripe
from workers.effects import EFFECT_RUNNERS
from workers.handlers import handle

log = get_logger("jobs")


@dataclass(frozen=True, slots=True)
class Context:
    """What the functions work on. One for each process, made after the fork."""

    settings: Settings
    ledger: Ledger
    events: JobQueue
    effects: JobQueue
    stripe: StripeApi | None
    receivers: Receivers
    now: Callable[[], float] = time.time

    @classmethod
    def of(cls, settings: Settings) -> Context:
        """Connections are made at their first use, so nothing has to be up yet."""
        redis = open_redis(str(settings.redis_url), verify=settings.redis_verify)
        # Half of the least time limit that the lease leaves a job (see `Worker.time_limit`).
        patience = settings.lease_seconds / 4
        engine = open_engine(str(settings.database_url), patience=patience)
        ledger = Ledger(engine)
        return cls(
            settings=settings,
            ledger=ledger,
            events=JobQueue(redis, EVENTS),
            effects=JobQueue(redis, EFFECTS),
            stripe=open_stripe(settings),
            receivers=Receivers.of(settings, Telling(engine), ledger.upkeep, redis, time.time),
        )

    def apply(self, observation: Observation) -> Applied:
        """Commit what was seen with all it causes, then queue the effects.

        Where the process dies in between, the clock finds the effects in the ledger.
        """
        applied = self.ledger.apply(
            observation,
            decide=handle,
            policy=self.settings.policy,
            now=int(self.now()),
        )
        self.queue(applied.effects)
        return applied

    def queue(self, effects: Sequence[EffectRow]) -> None:
        """Put committed effects into their queue."""
        if effects:
            self.effects.accept_all([effect_job(row, self.now()) for row in effects])


@cache
def _default_context() -> Context:
    return Context.of(Settings.from_environment(os.environ))


def process_event(event: Mapping[str, Any], context: Context | None = None) -> None:
    """Bring an accepted event into the ledger. `event` is SessionEvent.to_dict()'s."""
    context = context or _default_context()
    observed = SessionEvent.from_dict(event).observation()
    applied = context.apply(observed)
    log.info(
        "event " + applied.outcome,
        event_id=observed.event_id,
        type=observed.name,
        session=observed.session_id,
        status=applied.standing.status if applied.standing else None,
        version=applied.standing.version if applied.standing else None,
    )


def run_effect(effect: Mapping[str, Any], context: Context | None = None) -> None:
    """Do what an event asked for. `effect` is EffectRow.to_dict()'s."""
    context = context or _default_context()
    row = EffectRow(**effect)
    if context.ledger.effect_status(row.id) != "pending":
        return  # done by one that died before it could settle the job
    outcome = EFFECT_RUNNERS[row.kind](row, context)
    context.ledger.mark_effect(row.id, outcome, int(context.now()))
    log.info("effect " + outcome, effect=row.id, kind=row.kind, session=row.session_id)


# RQ imports whatever path it finds in Redis; we call these and nothing else.
FUNCTIONS: dict[str, Callable[[Mapping[str, Any], Context | None], None]] = {
    EVENTS.function: process_event,
    EFFECTS.function: run_effect,
}


def call(function: str, arguments: list[Any], context: Context) -> None:
    """Run a claimed job. Raises UnknownJobFunction, and calls nothing, where it is not ours."""
    if function not in FUNCTIONS or len(arguments) != 1 or not isinstance(arguments[0], dict):
        raise UnknownJobFunction("the job names a function that is not ours; it was not called")
    FUNCTIONS[function](arguments[0], context)
