"""How each effect is done. At least once: every one of them can be done twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from app.domain.effects import Cancel, Notify, PendingEffect, Purge, Recheck, Redact
from app.operations.apply import apply_observations
from app.operations.effects import enqueue_effects
from app.operations.notify import CALLBACK, STREAM, SUBSCRIBER
from app.operations.sweep import ask_stripe
from app.queue.dead_letters import DeadLetters
from app.stripe.errors import StripeRefused, StripeUnavailable
from workers.context import Context

Outcome = Literal["done", "dropped"]
Runner = Callable[[PendingEffect, Context], Outcome]


# No runner sends an idempotency key: with one, Stripe would answer every later try with a 500 that
# it stored at the first. Each looks before it acts, so none is needed.
def recheck(effect: PendingEffect, context: Context) -> Outcome:
    """Ask Stripe what is true of the session, and merge the answer."""
    if context.stores.stripe_for(effect.livemode) is None:
        return "dropped"
    return "done" if ask_stripe(effect.session, context.stores, context.now()) else "dropped"


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


def redact(effect: PendingEffect, context: Context) -> Outcome:
    """Have the session redacted; one that is being processed is tried again later."""
    stripe = context.stores.stripe_for(effect.livemode)
    if stripe is None:
        return "dropped"
    answer = stripe.retrieve(effect.session_id, effect.account)
    if answer.snapshot.redaction is None:
        if answer.snapshot.status == "processing":
            raise StripeUnavailable("a session cannot be redacted while it is processing")
        try:
            answer = stripe.redact(effect.session_id, effect.account)
        except StripeRefused:
            # Stripe redacts from `requires_input` and `verified`: a session that was closed before
            # anything was given to it holds nothing.
            if answer.snapshot.status != "canceled":
                raise
            return "dropped"
    apply_observations([answer], context.stores, context.now())
    return "done"


def purge(effect: PendingEffect, context: Context) -> Outcome:
    """Remove the reference from the redacted session's dead letters: the ledger knows it."""
    for queue in (context.stores.events, context.stores.effects):
        for letter in DeadLetters(queue.connection, queue.spec):
            payload = letter.payload
            # A notification that waits to be replayed is about the reference itself.
            notifies = payload.get("kind") in NOTIFICATIONS
            if payload.get("session_id") == effect.session_id and not notifies:
                bare = {"reference": None, "reference_source": 0}
                queue.rewrite(letter.id, [bare.get(name, payload[name]) for name in payload])
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


# A test holds this to every kind of effect that the domain and the receivers can ask for.
EFFECT_RUNNERS: dict[str, Runner] = {
    Recheck.kind: recheck,
    Cancel.kind: cancel,
    Redact.kind: redact,
    Purge.kind: purge,
    Notify.kind: notify,
    CALLBACK: notify_one,
    SUBSCRIBER: notify_one,
    STREAM: notify_one,
}
NOTIFICATIONS = frozenset({Notify.kind, CALLBACK, SUBSCRIBER, STREAM})
