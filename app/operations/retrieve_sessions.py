"""Thin events: ask for the sessions that they name, and merge what Stripe answers."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.effects import PendingEffect
from app.domain.errors import KeyNeeded
from app.domain.modes import mode_name
from app.domain.thin_event import ThinEvent
from app.operations.apply import apply_observations
from app.operations.effects import enqueue_effects
from app.operations.own_account import check_account
from app.stores import Stores
from app.stripe.errors import SessionMissing


def retrieve_sessions(events: Sequence[ThinEvent], stores: Stores, now: float) -> None:
    """Write an effect for each event, once, and enqueue it; `now` is in Unix seconds.

    An event comes again when Stripe sends it again: an effect that is a dead letter then goes back
    into its queue. Raises the ledger's errors and QueueUnavailable.
    """
    effects = {
        effect.id: effect
        for effect in (PendingEffect.of_thin_event(e.id, e.session, int(now)) for e in events)
    }
    added = stores.ledger.add_effects(list(effects.values()), int(now))
    stores.effects.replay(sorted(effects.keys() - {effect.id for effect in added}))
    enqueue_effects(added, stores.effects, now)


def retrieve_session(effect: PendingEffect, stores: Stores, now: float) -> None:
    """Merge what Stripe says of the session, as an API answer, under the id of the thin event.

    So the event is applied once. `now` is in Unix seconds. Raises KeyNeeded, StripeUnavailable,
    StripeRefused, OtherAccount.
    """
    stripe = stores.stripe_for(effect.livemode)
    if stripe is None:
        raise KeyNeeded(
            f"a thin event shows nothing of {effect.session_id}: set STRIPE_API_KEY to a "
            f"{mode_name(effect.livemode)}-mode key, then replay this letter"
        )
    try:
        observation = stripe.retrieve(effect.session_id, effect.account)
    except SessionMissing:
        check_account(stripe, stores.ledger, livemode=effect.livemode, now=int(now))
        raise
    apply_observations([observation._replace(event_id=effect.cause)], stores, now)
    stores.ledger.polling.mark_checked([effect.session], int(now))
