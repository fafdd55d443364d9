"""Apply observations: commit them with all they cause, then enqueue the effects."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.reconcile import Applied
from app.domain.session import Observation
from app.ledger.engine import LedgerBroken, LedgerUnavailable
from app.logs import get_logger
from app.operations.effects import enqueue_effects
from app.operations.purge_sessions import purge_at_once
from app.stores import Stores
from app.stripe.client import Answer
from app.stripe.errors import StripeFailure

log = get_logger("apply")


def apply_observations(
    observations: Sequence[Observation], stores: Stores, now: float
) -> list[Applied]:
    """Commit the observations under the team's policy, then purge, and enqueue what else follows.

    If the process dies in between, the clock finds the effects in the ledger. `now` is in Unix
    seconds. Raises the ledger's errors.
    """
    applied = stores.ledger.apply(observations, policy=stores.settings.policy, now=int(now))
    effects = [effect for one in applied for effect in one.effects]
    enqueue_effects(purge_at_once(effects, stores, now), stores.effects, now)
    return applied


def merge_answer(answer: Answer, stores: Stores, now: float) -> None:
    """Bring into the ledger what Stripe answered to a call that it has done.

    Raises nothing if the ledger is away: the call is done and its answer true, and to repeat a
    cancellation or a redaction would be refused. The log says so, and the ledger learns of it by
    Stripe's event (or by backfill), and of an update, which sends none, by the next event or sweep.
    """
    observation = answer.observation
    key = observation.key
    try:
        if answer.replayed:  # it shows the session of then, with the Date of now
            observation = stores.require_stripe().retrieve(key.id, key.account)
        apply_observations([observation], stores, now)
    except (LedgerUnavailable, LedgerBroken, StripeFailure) as failure:
        log.error("the ledger is behind Stripe", session_id=key.id, error=str(failure))
