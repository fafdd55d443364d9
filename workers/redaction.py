"""The effects of a redaction: ask Stripe for it, and remove our own copies."""

from __future__ import annotations

from rq.timeouts import JobTimeoutException

from app.domain.effects import PendingEffect
from app.domain.errors import IdentityError, Permanent
from app.domain.session import Observation
from app.logs import get_logger
from app.operations.apply import apply_observations
from app.operations.due_redactions import is_due
from app.operations.own_account import check_account
from app.queue.purging import purge_sessions, session_of, without_reference
from app.stripe.client import StripeApi
from app.stripe.errors import SessionMissing, StripeRefused, StripeUnavailable
from workers.context import Context
from workers.outcome import Outcome
from workers.time_limit import TimeLimit

log = get_logger("redaction")


class RedactionRefused(Permanent):
    """Stripe refuses to redact a session to which something was submitted."""

    def __init__(self, session: str, status: str, refusal: StripeRefused) -> None:
        """`refusal` is Stripe's answer."""
        super().__init__(
            f"{refusal}: {session} is {status} and something was submitted to it, which Stripe may "
            "still hold: redact it in the Dashboard or ask Stripe's support, then discard this"
        )


def redact(effect: PendingEffect, context: Context) -> Outcome:
    """Have the session redacted; one that is being processed is tried again later.

    Raises RedactionRefused, StripeUnavailable and StripeRefused.
    """
    stripe = context.stores.stripe_for(effect.livemode)
    if stripe is None:
        return "dropped"
    shown = _ask(effect, stripe, context)
    if shown.snapshot.redaction is not None:
        return "done"
    if shown.snapshot.status == "processing":
        raise StripeUnavailable("a session cannot be redacted while it is processing")
    return _request(shown, stripe, context)


def redact_due(effect: PendingEffect, context: Context) -> Outcome:
    """Have the session redacted if REDACT_AFTER_DAYS still says so, by what is true now.

    Meanwhile the setting may have changed, or the person have begun anew. Raises RedactionRefused,
    StripeUnavailable and StripeRefused.
    """
    stripe = context.stores.stripe_for(effect.livemode)
    if stripe is not None and _is_due(effect, context):
        shown = _ask(effect, stripe, context)
        if shown.snapshot.redaction is not None:
            return "done"
        if _is_due(effect, context):
            return _request(shown, stripe, context)
    context.stores.ledger.redactions.unclaim(effect.session)
    return "dropped"


def _ask(effect: PendingEffect, stripe: StripeApi, context: Context) -> Observation:
    """What Stripe says of the session, merged into the ledger.

    Raises OtherAccount, which is tried again, if Stripe does not know it because the key is not of
    the ledger's account; else SessionMissing.
    """
    now = context.now()
    try:
        shown = stripe.retrieve(effect.session_id, effect.account)
    except SessionMissing:
        check_account(stripe, context.stores.ledger, livemode=effect.livemode, now=int(now))
        raise
    apply_observations([shown], context.stores, now)
    return shown


def _is_due(effect: PendingEffect, context: Context) -> bool:
    session = context.stores.ledger.read_session(effect.session)
    return is_due(session, context.stores.settings.redact_after_days, context.now())


def _request(shown: Observation, stripe: StripeApi, context: Context) -> Outcome:
    """Request the redaction of a session that Stripe has shown so; dropped if it holds nothing."""
    key, status = shown.key, shown.snapshot.status
    try:
        answer = stripe.redact(key.id, key.account)
    except StripeRefused as refusal:
        # Stripe documents redaction from `requires_input` and `verified` (the docstring of `redact`
        # in its package); whether it takes one of a canceled session, nothing says.
        if status != "canceled" or refusal.status != 400:
            raise
        session = context.stores.ledger.read_session(key)
        if session is None or not session.submitted:
            return "dropped"
        raise RedactionRefused(key.id, status, refusal) from refusal
    apply_observations([answer], context.stores, context.now())
    return "done"


def purge(effect: PendingEffect, context: Context) -> Outcome:
    """Remove the reference from the redacted session's dead and deferred events."""
    purge_sessions(context.stores.events, [effect.session_id])
    return "done"


def bare(data: bytes, limit: float, context: Context) -> bytes:
    """What an event that dies or is deferred keeps; b"" for all of it.

    Where the ledger says that its session is redacted, it names nobody. While the ledger is away
    nothing is known: a deferred event is looked at when it is deferred again, and a dead one by the
    clock. Nor is it if the ledger does not answer within `limit` seconds.
    """
    session = session_of(data)
    if session is None:
        return b""
    try:
        with TimeLimit(limit, JobTimeoutException):  # type: ignore[no-untyped-call]  # RQ's
            redacted = context.stores.ledger.redactions.done([session])
    except (IdentityError, JobTimeoutException) as error:
        log.warning("redaction not known", session_id=session.id, error_class=type(error).__name__)
        return b""
    return (without_reference(data) or b"") if redacted else b""
