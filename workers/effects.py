"""How each effect is done. At least once: every one of them can be done twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from app.domain.effects import EffectRow, Notify
from app.ledger.upkeep import SessionKey
from app.operations.sweep import ask_stripe
from app.queue.dead_letters import DeadLetters
from app.stripe_api import StripeApi, StripeRefused, StripeUnavailable

if TYPE_CHECKING:
    from workers.jobs import Context

Outcome = Literal["done", "dropped"]
Runner = Callable[[EffectRow, "Context"], Outcome]


# No runner sends an idempotency key: with one, Stripe would answer every later try with a 500 that
# it stored at the first. Each looks before it acts, so none is needed.
def _api(row: EffectRow, context: Context) -> StripeApi | None:
    """The API that knows the row's session: none without a key, or with one of the other mode."""
    return context.stripe if row.livemode == context.settings.livemode else None


def check_back(row: EffectRow, context: Context) -> Outcome:
    """Ask Stripe what is true of the session, and merge the answer."""
    stripe = _api(row, context)
    if stripe is None:
        return "dropped"
    session = SessionKey(row.session_id, row.account, row.livemode)
    upkeep, now = context.ledger.upkeep, int(context.now())
    known = ask_stripe(session, stripe, upkeep, context.apply, now)
    return "done" if known else "dropped"


def cancel(row: EffectRow, context: Context) -> Outcome:
    """Close the session, unless the person has gone on meanwhile."""
    stripe = _api(row, context)
    if stripe is None:
        return "dropped"
    seen = stripe.retrieve(row.session_id, row.account)
    if seen.status == "requires_input":
        try:
            seen = stripe.cancel(row.session_id, row.account)
        except StripeRefused:
            seen = stripe.retrieve(row.session_id, row.account)
            if seen.status == "requires_input":
                raise
    context.apply(seen)
    return "done"


def redact(row: EffectRow, context: Context) -> Outcome:
    """Have the session redacted; one that is being processed is tried again later."""
    stripe = _api(row, context)
    if stripe is None:
        return "dropped"
    seen = stripe.retrieve(row.session_id, row.account)
    if seen.redaction is None:
        if seen.status == "processing":
            raise StripeUnavailable("a session cannot be redacted while it is processing")
        try:
            seen = stripe.redact(row.session_id, row.account)
        except StripeRefused:
            # Stripe redacts from `requires_input` and `verified`: a session that was closed before
            # anything was given to it holds nothing.
            if seen.status != "canceled":
                raise
            return "dropped"
    context.apply(seen)
    return "done"


def purge(row: EffectRow, context: Context) -> Outcome:
    """Take the reference out of the redacted session's dead letters: the ledger knows it."""
    for queue in (context.events, context.effects):
        for letter in DeadLetters(queue.connection, queue.queue):
            payload = letter.payload
            # A notification that waits to be replayed is about the reference itself.
            told = str(payload.get("kind", "")).startswith(Notify.kind)
            if payload.get("session_id") == row.session_id and not told:
                bare = {"reference": None, "reference_source": 0}
                kept = {name: bare.get(name, value) for name, value in payload.items()}
                queue.rewrite(letter.id, kept)
    return "done"


def notify(row: EffectRow, context: Context) -> Outcome:
    """Tell the one receiver that is configured, or split into one effect for each."""
    parts = context.receivers.split(row)
    if len(parts) == 1:
        return notify_one(replace(row, kind=parts[0].kind), context)
    context.queue(context.ledger.add_effects(parts, int(context.now())))
    return "done" if parts else "dropped"


def notify_one(row: EffectRow, context: Context) -> Outcome:
    """Tell one receiver how the reference stands now."""
    return "done" if context.receivers.tell(row, int(context.now())) else "dropped"


EFFECT_RUNNERS: dict[str, Runner] = {
    "check_back": check_back,
    "cancel": cancel,
    "redact": redact,
    "purge": purge,
    "notify": notify,
    "notify_callback": notify_one,
    "notify_subscriber": notify_one,
    "notify_stream": notify_one,
}
