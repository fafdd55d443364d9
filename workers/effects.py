"""How each effect is done. At least once: every one of them can be done twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from app.domain.effects import (
    REDACT,
    REDACT_DUE,
    RETRIEVE,
    Cancel,
    Notify,
    PendingEffect,
    Purge,
    Recheck,
)
from app.operations.apply import apply_observations
from app.operations.effects import enqueue_effects
from app.operations.notify import CALLBACK, STREAM, SUBSCRIBER
from app.operations.retrieve_sessions import retrieve_session
from app.operations.sweep import ask_stripe
from app.queue.breaker import STRIPE, Breaker
from app.stripe.errors import StripeRefused, StripeUnavailable
from workers.context import Context
from workers.outcome import Outcome
from workers.redaction import purge, redact, redact_due

Runner = Callable[[PendingEffect, Context], Outcome]


# No runner sends an idempotency key: with one, Stripe would answer every later try with a 500 that
# it stored at the first. Each looks before it acts, so none is needed.
def recheck(effect: PendingEffect, context: Context) -> Outcome:
    """Ask Stripe what is true of the session, and merge the answer."""
    if context.stores.stripe_for(effect.livemode) is None:
        return "dropped"
    return "done" if ask_stripe(effect.session, context.stores, context.now()) else "dropped"


def retrieve(effect: PendingEffect, context: Context) -> Outcome:
    """Ask Stripe for the session that a thin event has named."""
    retrieve_session(effect, context.stores, context.now())
    return "done"


def cancel(effect: PendingEffect, context: Context) -> Outcome:
    """Close the session, unless the person has gone on meanwhile."""
    stripe = context.stores.stripe_for(effect.livemode)
    if stripe is None:
        return "dropped"
    answer = stripe.retrieve(effect.session_id, effect.account)
    if answer.snapshot.status == "requires_input":
        try:
            answer = stripe.cancel(effect.session_id, effect.account)
        except StripeRefused:
            answer = stripe.retrieve(effect.session_id, effect.account)
            if answer.snapshot.status == "requires_input":
                raise
    apply_observations([answer], context.stores, context.now())
    return "done"


def notify(effect: PendingEffect, context: Context) -> Outcome:
    """Notify the one receiver that is configured, or split into one effect for each."""
    parts = context.receivers.split(effect)
    if len(parts) == 1:
        return notify_one(replace(effect, kind=parts[0].kind), context)
    added = context.stores.ledger.add_effects(parts, int(context.now()))
    enqueue_effects(added, context.stores.effects, context.now())
    return "done" if parts else "dropped"


def notify_one(effect: PendingEffect, context: Context) -> Outcome:
    """Notify one receiver of how the reference stands now."""
    return "done" if context.receivers.notify(effect, int(context.now())) else "dropped"


def _asking_stripe(run: Runner) -> Runner:
    """The runner, but not while Stripe is left alone: what notifies must not wait behind it."""

    def asked(effect: PendingEffect, context: Context) -> Outcome:
        breaker = Breaker(context.stores.redis, STRIPE, failure=StripeUnavailable)
        breaker.refuse()
        with breaker.watched():
            return run(effect, context)

    return asked


# A test holds this to every kind of effect that the domain and the receivers can ask for.
EFFECT_RUNNERS: dict[str, Runner] = {
    Recheck.kind: _asking_stripe(recheck),
    RETRIEVE: _asking_stripe(retrieve),
    Cancel.kind: _asking_stripe(cancel),
    REDACT: _asking_stripe(redact),
    REDACT_DUE: _asking_stripe(redact_due),
    Purge.kind: purge,
    Notify.kind: notify,
    CALLBACK: notify_one,
    SUBSCRIBER: notify_one,
    STREAM: notify_one,
}
