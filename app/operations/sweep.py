"""Ask Stripe about sessions that have had no event for too long, and merge what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from app.domain.durations import MINUTE
from app.domain.effects import PendingEffect, Recheck
from app.domain.snapshot import SessionKey
from app.ledger.ledger import Ledger
from app.logs import get_logger
from app.operations.apply import apply_observations
from app.operations.own_account import check_account
from app.stores import Stores
from app.stripe.errors import SessionMissing, StripeRefused, StripeUnavailable

log = get_logger("sweep")

# Sessions read at once: those that become overdue meanwhile come before those that are only open.
BATCH_SIZE = 20
RECHECK_BATCH_SIZE = 500
# Sessions in a row without an answer after which Stripe counts as away.
MAX_UNANSWERED = 3
# Seconds within which two runs ask about a session once.
RECHECK_WINDOW = 5 * MINUTE


def ask_stripe(session: SessionKey, stores: Stores, now: float) -> bool:
    """Merge what Stripe says of the session; False, and marked so, if Stripe does not know it.

    Raises OtherAccount, StripeUnavailable and StripeRefused. `now` is in Unix seconds.
    """
    stripe = stores.require_stripe()
    try:
        observation = stripe.retrieve(session.id, session.account)
    except SessionMissing:
        # Another account's key knows none of our sessions, and that says nothing of them.
        check_account(stripe, stores.ledger, livemode=session.livemode, now=int(now))
        stores.ledger.polling.mark_missing(session, int(now))
        log.warning("session not known to Stripe", session_id=session.id)
        return False
    apply_observations([observation], stores, now)
    stores.ledger.polling.mark_checked([session], int(now))
    return True


def sweep(stores: Stores, *, limit: int, now: Callable[[], float]) -> Iterator[SessionKey]:
    """Ask about at most `limit` due sessions of the key's mode; yields each after it.

    One that Stripe cannot answer for is passed by. Ends with an error in the log if redactions are
    overdue. Raises OtherAccount, StripeUnavailable after MAX_UNANSWERED in a row, and StripeRefused
    if the key is not accepted.
    """
    polling, livemode = stores.ledger.polling, stores.settings.livemode
    check_account(stores.require_stripe(), stores.ledger, livemode=livemode, now=int(now()))
    done = unanswered = 0
    while done < limit:
        due = polling.sessions_to_check(livemode, int(now()), min(BATCH_SIZE, limit - done))
        if not due:
            break
        for session in due:
            try:
                ask_stripe(session, stores, now())
                unanswered = 0
            except StripeUnavailable as error:
                log.warning("session not answered for", session_id=session.id, error=str(error))
                polling.mark_unanswered(session, int(now()))
                unanswered += 1
                if unanswered == MAX_UNANSWERED:
                    raise
            except StripeRefused as error:
                if error.status == 401:
                    raise
                # A problem of one account or session must not hold up all others.
                log.warning(
                    "session cannot be asked about", session_id=session.id, error=str(error)
                )
                polling.mark_checked([session], int(now()))
            done += 1
            yield session
    overdue = polling.overdue_redactions(int(now()))
    if overdue:
        log.error("redactions not finished by Stripe in four days", session_count=overdue)


def enqueue_rechecks(
    ledger: Ledger, *, livemode: bool, now: int, batch_size: int = RECHECK_BATCH_SIZE
) -> Iterator[list[PendingEffect]]:
    """Have the effects workers ask about all due sessions; yields batches of effects to enqueue."""
    while due := ledger.polling.sessions_to_check(livemode, now, batch_size):
        effects = ledger.add_effects([_recheck(session, now) for session in due], now)
        # After the effects, so that a crash in between writes them twice rather than never;
        # before they run, as they may find that Stripe does not know the session.
        ledger.polling.mark_checked(due, now)
        yield effects


def _recheck(session: SessionKey, now: int) -> PendingEffect:
    return PendingEffect.on_session(
        Recheck.kind, session, occasion=f"sweep{now // RECHECK_WINDOW}", now=now
    )
