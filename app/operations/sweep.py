"""Ask Stripe about sessions that no event has told of for too long, and merge what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from app.domain.effects import CheckBack, EffectRow
from app.domain.session import Observation
from app.ledger.ledger import Ledger
from app.ledger.transaction import Applied
from app.ledger.upkeep import ASK_SOON, SessionKey, Upkeep
from app.logs import get_logger
from app.stripe_api import StripeApi, StripeRefused

log = get_logger("sweep")

# Sessions chosen at once: what became overdue meanwhile comes before the slow round's next.
AT_ONCE = 20

Apply = Callable[[Observation], Applied]


def ask_stripe(
    session: SessionKey, stripe: StripeApi, upkeep: Upkeep, apply: Apply, now: int
) -> bool:
    """Merge what Stripe says of the session; False, and marked so, where it does not know it.

    Raises StripeUnavailable and StripeRefused. `now` is in Unix seconds.
    """
    try:
        observation = stripe.retrieve(session.id, session.account)
    except StripeRefused as error:
        if error.code != "resource_missing":
            raise
        upkeep.mark_missing(session, now)
        log.warning("session not known to Stripe", session=session.id)
        return False
    apply(observation)
    upkeep.mark_checked(session, now)
    return True


def sweep(
    stripe: StripeApi,
    ledger: Ledger,
    apply: Apply,
    *,
    livemode: bool,
    most: int,
    now: Callable[[], float],
) -> Iterator[SessionKey]:
    """Ask about at most `most` due sessions of the key's mode; gives each when it is done.

    Ends with an alarm in the log where redactions are overdue. Raises StripeUnavailable, and
    StripeRefused where the key is not taken.
    """
    asked = 0
    while asked < most:
        due = ledger.upkeep.sessions_to_check(livemode, int(now()), min(AT_ONCE, most - asked))
        if not due:
            break
        for session in due:
            try:
                ask_stripe(session, stripe, ledger.upkeep, apply, int(now()))
            except StripeRefused as error:
                if error.status == 401:
                    raise
                # One account's or session's own trouble must not hold up all others.
                log.warning("session cannot be asked about", session=session.id, why=str(error))
                ledger.upkeep.mark_checked(session, int(now()))
            asked += 1
            yield session
    overdue = ledger.upkeep.overdue_redactions(int(now()))
    if overdue:
        log.error("redactions not finished by Stripe in four days", sessions=overdue)


def hand_over(
    ledger: Ledger, *, livemode: bool, now: int, at_once: int = 500
) -> Iterator[list[EffectRow]]:
    """Have the effects worker ask about all due sessions; gives what to queue, batch by batch.

    For who cannot reach the handlers: what a sweep finds has to be told like any other change.
    """
    while due := ledger.upkeep.sessions_to_check(livemode, now, at_once):
        rows = [_check_back(session, now) for session in due]
        effects = ledger.add_effects(rows, now)
        # After the effects, so that a crash in between has them written twice rather than never;
        # before they run, as they may find that Stripe does not know the session.
        ledger.upkeep.mark_all_checked(due, now)
        yield effects


def _check_back(session: SessionKey, now: int) -> EffectRow:
    # Two runs within the time after which a session may be due again ask once.
    mark = f"sweep{now // ASK_SOON}"
    return EffectRow.asked(
        CheckBack.kind, session.id, session.account, session.livemode, mark=mark, now=now
    )
